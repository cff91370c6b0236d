/// A seeded hash of an object's key: keys with the same one count as the same.
enum KeyHash {
    /// - Parameter readable: how many bytes from `bytes` on may be read: the last ones are taken as one word where they can be.
    @inline(__always)
    static func of(_ bytes: UnsafePointer<UInt8>, _ count: Int, readable: Int, seed: UInt64) -> UInt64 {
        var state = seed ^ UInt64(truncatingIfNeeded: count)
        var offset = 0
        while offset &+ 8 <= count {
            state = mix(state ^ word(bytes + offset))
            offset &+= 8
        }
        var tail: UInt64 = 0
        if offset &+ 8 <= readable {
            // In two steps, the second of 0 to 56 bits: what is not of the key falls out at the upper end.
            let others = UInt64(truncatingIfNeeded: 7 &- (count &- offset)) &* 8
            tail = (word(bytes + offset) << 8) &<< others
        } else {
            tail = lastBytes(bytes + offset, count &- offset)
        }
        return mix(state ^ tail)
    }

    @inline(__always)
    private static func word(_ bytes: UnsafePointer<UInt8>) -> UInt64 {
        UnsafeRawPointer(bytes).loadUnaligned(as: UInt64.self).littleEndian
    }

    /// As many bytes, fewer than eight, as a word's upper end.
    private static func lastBytes(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
        var tail: UInt64 = 0
        for offset in 0..<count { tail = tail >> 8 | UInt64(bytes[offset]) << 56 }
        return tail
    }

    @inline(__always)
    private static func mix(_ word: UInt64) -> UInt64 {
        let product = word.multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return product.high ^ product.low
    }
}
