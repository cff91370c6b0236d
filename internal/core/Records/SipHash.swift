/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, https://www.aumasson.jp/siphash/), streaming.
///
/// A value type, so a prefix that many inputs share is hashed once and the state copied. The key is fixed: the hash makes
/// ids that are the same on every machine; nothing rests on it being secret.
public struct SipHash128: Sendable {
    private var v0: UInt64 = 0x736f_6d65_7073_6575
    private var v1: UInt64 = 0x646f_7261_6e64_6f6d ^ 0xee
    private var v2: UInt64 = 0x6c79_6765_6e65_7261
    private var v3: UInt64 = 0x7465_6462_7974_6573
    private var tail: UInt64 = 0
    private var count: UInt64 = 0

    public init(key0: UInt64, key1: UInt64) {
        v0 ^= key0
        v1 ^= key1
        v2 ^= key0
        v3 ^= key1
    }

    public mutating func update(_ byte: UInt8) {
        tail |= UInt64(byte) << (8 * (count & 7))
        count &+= 1
        if count & 7 == 0 {
            compress(tail)
            tail = 0
        }
    }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index < bytes.count, count & 7 != 0 {
            update(bytes[index])
            index += 1
        }
        while index + 8 <= bytes.count {
            compress(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)))
            count &+= 8
            index += 8
        }
        while index < bytes.count {
            update(bytes[index])
            index += 1
        }
    }

    /// The text's UTF-8 and a NUL, so that neighbouring texts cannot run into each other.
    public mutating func update(_ text: String) {
        var text = text
        text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
        update(0 as UInt8)
    }

    /// Eight bytes, little-endian.
    public mutating func update(_ number: Int64) {
        withUnsafeBytes(of: number.littleEndian) { update($0) }
    }

    /// The hash of what came so far, as its first and second eight bytes (little-endian).
    public func finish() -> (UInt64, UInt64) {
        var state = self
        state.compress(tail | count << 56)
        state.v2 ^= 0xee
        for _ in 0..<4 { state.round() }
        let first = state.v0 ^ state.v1 ^ state.v2 ^ state.v3
        state.v1 ^= 0xdd
        for _ in 0..<4 { state.round() }
        return (first, state.v0 ^ state.v1 ^ state.v2 ^ state.v3)
    }

    private mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    private mutating func round() {
        v0 &+= v1
        v1 = v1 << 13 | v1 >> 51
        v1 ^= v0
        v0 = v0 << 32 | v0 >> 32
        v2 &+= v3
        v3 = v3 << 16 | v3 >> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 << 21 | v3 >> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 << 17 | v1 >> 47
        v1 ^= v2
        v2 = v2 << 32 | v2 >> 32
    }
}
