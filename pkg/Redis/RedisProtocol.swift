internal import CHiredis

/// Splits what the server sends into replies. Owns hiredis' reader; confined to the connection's thread.
struct ReplyReader: ~Copyable {
    private let reader: UnsafeMutablePointer<redisReader>

    init() {
        guard let reader = redisReaderCreate() else { fatalError("out of memory") }
        self.reader = reader
    }

    deinit { redisReaderFree(reader) }

    mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        _ = redisReaderFeed(reader, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    /// The next complete reply, nil where more bytes are needed. Throws where the bytes are no reply: the connection is of no use then.
    mutating func next() throws(RedisError) -> RedisReply? {
        var object: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &object) == REDIS_OK else {
            let reason = withUnsafePointer(to: &reader.pointee.errstr) { text in
                text.withMemoryRebound(to: CChar.self, capacity: 128) { String(cString: $0) }
            }
            throw RedisError.disconnected("not a reply: \(reason)")
        }
        guard let object else { return nil }
        defer { freeReplyObject(object) }
        return RedisReply(object.assumingMemoryBound(to: redisReply.self))
    }
}

/// A command that is sent again and again with another key: encoded once, but for that.
public struct PreparedCommand: Sendable {
    fileprivate let head: [UInt8]
    fileprivate let keyPrefix: [UInt8]
    fileprivate let tail: [UInt8]

    /// - Parameters:
    ///   - keyPrefix: What every key begins with.
    ///   - words: What follows the key.
    public init(_ name: RedisArgument, keyPrefix: String, then words: RedisArgument...) {
        var head: [UInt8] = []
        CommandEncoder.begin(words.count + 2, &head)
        CommandEncoder.append(name, to: &head)
        self.head = head
        self.keyPrefix = Array(keyPrefix.utf8)
        var tail: [UInt8] = []
        for word in words { CommandEncoder.append(word, to: &tail) }
        self.tail = tail
    }
}

/// Commands in the protocol's form: `*<words>` and then, for each word, `$<bytes>` and the bytes.
enum CommandEncoder {
    static func append(_ words: [RedisArgument], to buffer: inout [UInt8]) {
        begin(words.count, &buffer)
        for word in words { append(word, to: &buffer) }
    }

    static func append(_ command: PreparedCommand, key: UnsafeRawBufferPointer, to buffer: inout [UInt8]) {
        buffer.append(contentsOf: command.head)
        header(UInt8(ascii: "$"), command.keyPrefix.count + key.count, &buffer)
        buffer.append(contentsOf: command.keyPrefix)
        buffer.append(contentsOf: key)
        newline(&buffer)
        buffer.append(contentsOf: command.tail)
    }

    fileprivate static func begin(_ count: Int, _ buffer: inout [UInt8]) { header(UInt8(ascii: "*"), count, &buffer) }

    fileprivate static func append(_ word: RedisArgument, to buffer: inout [UInt8]) {
        switch word {
        case .text(var text):
            text.withUTF8 { append(UnsafeRawBufferPointer($0), &buffer) }
        case .bytes(let bytes):
            bytes.withUnsafeBytes { append($0, &buffer) }
        case .integer(let number):
            var text = String(number)
            text.withUTF8 { append(UnsafeRawBufferPointer($0), &buffer) }
        }
    }

    private static func append(_ word: UnsafeRawBufferPointer, _ buffer: inout [UInt8]) {
        header(UInt8(ascii: "$"), word.count, &buffer)
        buffer.append(contentsOf: word)
        newline(&buffer)
    }

    private static func header(_ mark: UInt8, _ count: Int, _ buffer: inout [UInt8]) {
        buffer.append(mark)
        if count < 10 {
            buffer.append(UInt8(ascii: "0") + UInt8(count))
        } else {
            buffer.append(contentsOf: String(count).utf8)
        }
        newline(&buffer)
    }

    private static func newline(_ buffer: inout [UInt8]) {
        buffer.append(13)
        buffer.append(10)
    }
}

/// A Lua script, known to the server by its digest.
public struct RedisScript: Sendable {
    let source: String
    /// SHA-1 of the source in hexadecimal, as `EVALSHA` wants it.
    public let digest: String

    public init(_ source: String) {
        self.source = source
        var digits = [CChar](repeating: 0, count: 40)
        var text = source
        let done = text.withUTF8 { chiredis_sha1($0.baseAddress, $0.count, &digits) }
        precondition(done == 1, "SHA-1 is not available")
        digest = String(decoding: digits.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
