internal import CSodium
internal import EventLoops
internal import Synchronization

/// What a password's hash costs. Interactive: 64 MiB and about 70 ms.
public struct PasswordCost: Sendable {
    public var operations: UInt64
    public var memoryBytes: Int

    public init(operations: UInt64, memoryBytes: Int) {
        self.operations = operations
        self.memoryBytes = memoryBytes
    }

    public static let interactive = PasswordCost(
        operations: csodium_password_operations_interactive, memoryBytes: csodium_password_memory_interactive)
}

/// Passwords as argon2id strings (`$argon2id$v=19$m=…`), which carry salt and cost.
///
/// A hash blocks for a tenth of a second and takes 64 MiB: so hashes run on threads of their own, never on the cooperative
/// pool, few at once, and no more than `maximumWaiting` wait; beyond that callers get `busy`. A thread lives while there is
/// work: starting one costs a thousandth of a hash.
public final class PasswordHasher: Sendable {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var running = 0
    }

    private let cost: PasswordCost
    private let maximumConcurrent: Int
    private let maximumWaiting: Int
    private let state = Mutex(State())

    public init(cost: PasswordCost = .interactive, maximumConcurrent: Int = 2, maximumWaiting: Int = 64) {
        self.cost = cost
        self.maximumConcurrent = maximumConcurrent
        self.maximumWaiting = maximumWaiting
    }

    /// The string to store for `password`. `failed` where the memory cannot be had, `busy` where too many wait.
    public func hash(_ password: [UInt8]) async throws(CryptographyError) -> String {
        let cost = cost
        return try await onThread { Self.hash(password, cost: cost) }.get()
    }

    /// Whether `stored` was made from `password`. False for a string that is no argon2 hash.
    public func verify(_ password: [UInt8], against stored: String) async throws(CryptographyError) -> Bool {
        try await onThread { .success(Self.verify(password, against: stored)) }.get()
    }

    /// Whether `stored` was made with another cost than this hasher's (then hash again at the next login). Does not block.
    public func needsRehash(_ stored: String) -> Bool {
        crypto_pwhash_str_needs_rehash(stored, cost.operations, cost.memoryBytes) != 0
    }

    private func onThread<Value: Sendable>(_ work: @escaping @Sendable () -> Result<Value, CryptographyError>) async
        -> Result<Value, CryptographyError>
    {
        await withCheckedContinuation { continuation in
            let accepted = enqueue { continuation.resume(returning: work()) }
            if !accepted { continuation.resume(returning: .failure(.busy)) }
        }
    }

    /// Queues `job`, with a new thread where the limit allows one; false where the queue is full.
    private func enqueue(_ job: @escaping @Sendable () -> Void) -> Bool {
        let (accepted, starts) = state.withLock { state in
            if state.running < maximumConcurrent {
                state.waiting.append(job)
                state.running += 1
                return (true, true)
            }
            guard state.waiting.count < maximumWaiting else { return (false, false) }
            state.waiting.append(job)
            return (true, false)
        }
        if starts { NativeThread.start(name: "password") { self.work() } }
        return accepted
    }

    private func work() {
        while let job = nextJob() { job() }
    }

    private func nextJob() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.running -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
    }

    private static func hash(_ password: [UInt8], cost: PasswordCost) -> Result<String, CryptographyError> {
        Sodium.ready
        var text = [CChar](repeating: 0, count: csodium_password_text_bytes)
        let characters = password.map { CChar(bitPattern: $0) }
        let result = crypto_pwhash_str(
            &text, characters, UInt64(characters.count), cost.operations, cost.memoryBytes)
        guard result == 0 else { return .failure(.failed(operation: "crypto_pwhash_str")) }
        return .success(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    private static func verify(_ password: [UInt8], against stored: String) -> Bool {
        Sodium.ready
        let characters = password.map { CChar(bitPattern: $0) }
        return crypto_pwhash_str_verify(stored, characters, UInt64(characters.count)) == 0
    }
}
