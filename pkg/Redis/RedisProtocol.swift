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

/// Commands in the protocol's form: `*<words>` and then, for each word, `$<bytes>` and the bytes.
enum CommandEncoder {
    static func append(_ words: [RedisArgument], to buffer: inout [UInt8]) {
        header(UInt8(ascii: "*"), words.count, &buffer)
        for word in words {
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
