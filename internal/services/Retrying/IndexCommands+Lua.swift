internal import Redis

/// The scripts. `ARGV[1]` is the header that both keys must have, `ARGV[2]` the one they get; 0 is the answer where they do not.
extension IndexCommands {
    private static let guardHeader = """
        if redis.call('HGET', KEYS[1], '!') ~= ARGV[1] or not redis.call('ZSCORE', KEYS[2], '!' .. ARGV[1]) then return 0 end
        redis.call('HSET', KEYS[1], '!', ARGV[2])
        redis.call('ZREM', KEYS[2], '!' .. ARGV[1])
        redis.call('ZADD', KEYS[2], -1, '!' .. ARGV[2])

        """

    private static let findHeaders = """
        local at = redis.call('HGET', KEYS[1], '!') or ''
        local due = table.concat(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(0'), '+')
        if string.sub(due, 1, 1) == '!' then due = string.sub(due, 2) end

        """

    static let readHeaders = RedisScript(findHeaders + "return {at, due}")

    /// The header found in the hash, the one found in the set, the new one, and whether all else goes.
    static let open = RedisScript(
        findHeaders + """
            if at ~= ARGV[1] or due ~= ARGV[2] then return 0 end
            if ARGV[4] == '1' then redis.call('UNLINK', KEYS[1], KEYS[2]) else redis.call('ZREM', KEYS[2], '!' .. due) end
            redis.call('HSET', KEYS[1], '!', ARGV[3])
            redis.call('ZADD', KEYS[2], -1, '!' .. ARGV[3])
            return 1
            """)

    /// Delivery, entry (empty: it goes) and score, again and again.
    static let index = RedisScript(
        guardHeader + """
            for i = 3, #ARGV, 3 do
                if ARGV[i + 1] == '' then
                    redis.call('HDEL', KEYS[1], ARGV[i])
                    redis.call('ZREM', KEYS[2], ARGV[i])
                else
                    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
                    redis.call('ZADD', KEYS[2], ARGV[i + 2], ARGV[i])
                end
            end
            return 1
            """)

    /// Until when, the new score, how many. An entry that is claimed carries one byte more from then on.
    static let claim = RedisScript(
        guardHeader + """
            local found = {}
            for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], 0, ARGV[3], 'LIMIT', 0, ARGV[5])) do
                local entry = redis.call('HGET', KEYS[1], id)
                if entry then
                    redis.call('ZADD', KEYS[2], ARGV[4], id)
                    if #entry == 13 then redis.call('HSET', KEYS[1], id, entry .. 'c') end
                    found[#found + 1] = id
                    found[#found + 1] = entry
                else
                    redis.call('ZREM', KEYS[2], id)
                end
            end
            local first = redis.call('ZRANGEBYSCORE', KEYS[2], 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
            return {first[2] or '', found}
            """)

    /// The new score, and deliveries; what is due later already stays as it is.
    static let renew = RedisScript(
        guardHeader + """
            for i = 4, #ARGV do redis.call('ZADD', KEYS[2], 'XX', 'GT', ARGV[3], ARGV[i]) end
            return 1
            """)

    /// When holds end; then delivery and entry, again and again. Bytes 1 to 12 are generation and offset, the next one the mark:
    /// 2 is cancel, 3 hold.
    static let remove = RedisScript(
        guardHeader + """
            for i = 4, #ARGV, 2 do
                local entry = redis.call('HGET', KEYS[1], ARGV[i])
                if entry and string.sub(entry, 1, 12) == string.sub(ARGV[i + 1], 1, 12) then
                    local mark = string.byte(entry, 13)
                    if mark == string.byte(ARGV[i + 1], 13) or mark < 2 then
                        redis.call('HDEL', KEYS[1], ARGV[i])
                        redis.call('ZREM', KEYS[2], ARGV[i])
                    elseif mark == 2 then
                        redis.call('HSET', KEYS[1], ARGV[i], string.sub(entry, 1, 12) .. string.char(3))
                        redis.call('ZADD', KEYS[2], ARGV[3], ARGV[i])
                    end
                end
            end
            return 1
            """)

    static let check = RedisScript(guardHeader + "return 1")

    /// Until when, how many.
    static let upcoming = RedisScript(
        """
        local found = {}
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], 0, ARGV[1], 'LIMIT', 0, ARGV[2])) do
            local entry = redis.call('HGET', KEYS[1], id)
            if entry then
                found[#found + 1] = id
                found[#found + 1] = entry
            end
        end
        return found
        """)

    static let counts = RedisScript(
        """
        local pending = redis.call('HLEN', KEYS[1])
        if pending > 0 then pending = pending - 1 end
        return {pending, redis.call('ZCOUNT', KEYS[2], 0, ARGV[1])}
        """)
}
