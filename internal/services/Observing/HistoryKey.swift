/// What the indexes of table `outcomes` hold instead of texts: FNV-1a of tenant, NUL, id. Equal keys of different texts are told apart by
/// the texts themselves, which every query compares as well.
enum HistoryKey {
    static func of(tenant: String, id: String) -> Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in tenant.utf8 { add(byte) }
        add(0)
        for byte in id.utf8 { add(byte) }
        return Int64(bitPattern: hash)
    }
}
