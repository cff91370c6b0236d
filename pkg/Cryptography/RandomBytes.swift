internal import CSodium

/// libsodium, initialised once per process.
enum Sodium {
    static let ready: Void = {
        guard sodium_init() >= 0 else { fatalError("sodium_init failed") }
    }()
}

/// Random bytes from the kernel's generator, from any thread: a system call per 256 bytes.
public func randomBytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        Sodium.ready
        if count > 0 { randombytes_buf(buffer.baseAddress!, count) }
        initialized = count
    }
}

/// Random bytes taken from the kernel in blocks of 4 KiB: 30 ns per 8 bytes. For ids and nonces drawn per request. Bytes handed
/// out are erased from the block. Not `Sendable`: it belongs to the thread that made it.
public final class BufferedRandom: RandomNumberGenerator {
    private static let blockBytes = 4096
    private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: blockBytes, alignment: 8)
    private var used = blockBytes

    public init() { Sodium.ready }

    deinit {
        sodium_memzero(block.baseAddress!, block.count)
        block.deallocate()
    }

    /// Fills `buffer`.
    public func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        guard buffer.count <= Self.blockBytes / 4 else { return randombytes_buf(buffer.baseAddress!, buffer.count) }
        refill(for: buffer.count)
        let taken = UnsafeMutableRawBufferPointer(rebasing: block[used..<(used + buffer.count)])
        buffer.copyMemory(from: UnsafeRawBufferPointer(taken))
        taken.initializeMemory(as: UInt8.self, repeating: 0)
        used += buffer.count
    }

    public func next() -> UInt64 {
        refill(for: 8)
        let value = block.loadUnaligned(fromByteOffset: used, as: UInt64.self)
        block.storeBytes(of: 0, toByteOffset: used, as: UInt64.self)
        used += 8
        return value
    }

    private func refill(for count: Int) {
        guard used + count > Self.blockBytes else { return }
        randombytes_buf(block.baseAddress!, block.count)
        used = 0
    }
}
