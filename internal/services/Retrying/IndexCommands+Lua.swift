internal import Redis

/// The scripts. `ARGV[1]` is the header that every key must have, `ARGV[2]` the one they get; 0 is the answer where they do not.
/// Bytes 14 to 25 of an entry are its place in a lane, which with the delivery behind it is a member of `KEYS[3]`.
extension IndexCommands {
    private static let guardHeader = """
        local old, new = '!' .. ARGV[1], '!' .. ARGV[2]
        if redis.call('HGET', KEYS[1], '!') ~= ARGV[1] or not redis.call('ZSCORE', KEYS[2], old)
            or not redis.call('ZSCORE', KEYS[3], old) then return 0 end
        redis.call('HSET', KEYS[1], '!', ARGV[2])
        redis.call('ZREM', KEYS[2], old)
        redis.call('ZADD', KEYS[2], -1, new)
        redis.call('ZREM', KEYS[3], old)
        redis.call('ZADD', KEYS[3], 0, new)

        """

    private static let findHeaders = """
        local function text(headers)
            local all = table.concat(headers, '+')
            return string.sub(all, 1, 1) == '!' and string.sub(all, 2) or all
        end
        local at = redis.call('HGET', KEYS[1], '!') or ''
        local due = text(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(0'))
        local lanes = text(redis.call('ZRANGEBYLEX', KEYS[3], '[!', '("'))

        """

    static let readHeaders = RedisScript(findHeaders + "return {at, due, lanes}")

    /// The headers found in the three keys, the new one, and whether all else goes.
    static let open = RedisScript(
        findHeaders + """
            if at ~= ARGV[1] or due ~= ARGV[2] or lanes ~= ARGV[3] then return 0 end
            if ARGV[5] == '1' then
                redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
            else
                redis.call('ZREM', KEYS[2], '!' .. due)
                redis.call('ZREM', KEYS[3], '!' .. lanes)
            end
            redis.call('HSET', KEYS[1], '!', ARGV[4])
            redis.call('ZADD', KEYS[2], -1, '!' .. ARGV[4])
            redis.call('ZADD', KEYS[3], 0, '!' .. ARGV[4])
            return 1
            """)

    /// Takes a delivery out of its lane, if it waits in one.
    private static let leaveLane = """
        local function leave(id, entry)
            if entry and #entry == 25 then redis.call('ZREM', KEYS[3], string.sub(entry, 14) .. id) end
        end

        """

    /// How many lanes; each lane and its latest due time; then delivery, entry (empty: it goes) and score, again and again.
    static let index = RedisScript(
        guardHeader + leaveLane + """
            local first = 4 + ARGV[3] * 2
            for i = 4, first - 1, 2 do redis.call('ZADD', KEYS[2], 'LT', ARGV[i + 1], ARGV[i]) end
            for i = first, #ARGV, 3 do
                local id, entry = ARGV[i], ARGV[i + 1]
                leave(id, redis.call('HGET', KEYS[1], id))
                if entry == '' then redis.call('HDEL', KEYS[1], id) else redis.call('HSET', KEYS[1], id, entry) end
                if #entry == 13 then redis.call('ZADD', KEYS[2], ARGV[i + 2], id) else redis.call('ZREM', KEYS[2], id) end
                if #entry == 25 then redis.call('ZADD', KEYS[3], 0, string.sub(entry, 14) .. id) end
            end
            return 1
            """)

    /// Until when, the new score, how many. An entry that is claimed carries one byte more from then on.
    static let claim = RedisScript(
        guardHeader + """
            local found, lanes = {}, {}
            for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], 0, ARGV[3], 'LIMIT', 0, ARGV[5])) do
                local entry = redis.call('HGET', KEYS[1], id)
                if #id == 6 then
                    redis.call('ZADD', KEYS[2], ARGV[4], id)
                    lanes[#lanes + 1] = id
                elseif entry then
                    redis.call('ZADD', KEYS[2], ARGV[4], id)
                    if #entry == 13 then redis.call('HSET', KEYS[1], id, entry .. 'c') end
                    found[#found + 1] = id
                    found[#found + 1] = entry
                else
                    redis.call('ZREM', KEYS[2], id)
                end
            end
            local first = redis.call('ZRANGEBYSCORE', KEYS[2], 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
            return {first[2] or '', found, lanes}
            """)

    /// The new score, since when what is too old has waited, how many altogether; then lane, how many, and when it is due again.
    static let release = RedisScript(
        guardHeader + """
            local found, empty = {}, {}
            for i = 6, #ARGV, 3 do
                local lane = ARGV[i]
                local old = redis.call('ZLEXCOUNT', KEYS[3], '[' .. lane, '(' .. lane .. ARGV[4])
                local count = math.min(math.max(tonumber(ARGV[i + 1]), old), ARGV[5] - #found / 2)
                local members = {}
                if count > 0 then
                    members = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. lane, '(' .. lane .. '\\255\\255\\255\\255\\255\\255',
                        'LIMIT', 0, count)
                end
                for _, member in ipairs(members) do
                    local id = string.sub(member, 13)
                    local entry = redis.call('HGET', KEYS[1], id)
                    redis.call('ZREM', KEYS[3], member)
                    if entry and #entry == 25 then
                        redis.call('ZADD', KEYS[2], ARGV[3], id)
                        redis.call('HSET', KEYS[1], id, string.sub(entry, 1, 13) .. 'c')
                        found[#found + 1] = id
                        found[#found + 1] = entry
                    end
                end
                if count > 0 and #members == 0 then
                    redis.call('ZREM', KEYS[2], lane)
                    empty[#empty + 1] = lane
                else
                    redis.call('ZADD', KEYS[2], old > #members and 0 or ARGV[i + 2], lane)
                end
            end
            local first = redis.call('ZRANGEBYSCORE', KEYS[2], 0, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
            return {first[2] or '', found, empty}
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
        guardHeader + leaveLane + """
            for i = 4, #ARGV, 2 do
                local entry = redis.call('HGET', KEYS[1], ARGV[i])
                if entry and string.sub(entry, 1, 12) == string.sub(ARGV[i + 1], 1, 12) then
                    local mark = string.byte(entry, 13)
                    if mark == string.byte(ARGV[i + 1], 13) or mark < 2 then
                        leave(ARGV[i], entry)
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

    /// Until when, how many, how many of a lane.
    static let upcoming = RedisScript(
        """
        local found = {}
        local function add(id)
            local entry = redis.call('HGET', KEYS[1], id)
            if entry and #found < ARGV[2] * 2 then
                found[#found + 1] = id
                found[#found + 1] = entry
            end
        end
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], 0, ARGV[1], 'LIMIT', 0, ARGV[2])) do
            if #id ~= 6 then
                add(id)
            elseif #found < ARGV[2] * 2 then
                local members = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. id, '(' .. id .. '\\255\\255\\255\\255\\255\\255',
                    'LIMIT', 0, ARGV[3])
                for _, member in ipairs(members) do add(string.sub(member, 13)) end
            end
        end
        return found
        """)

    static let counts = RedisScript(
        """
        local pending = redis.call('HLEN', KEYS[1])
        local lanes = redis.call('ZCARD', KEYS[3])
        return {math.max(0, pending - 1), redis.call('ZCOUNT', KEYS[2], 0, ARGV[1]), math.max(0, lanes - 1)}
        """)
}
