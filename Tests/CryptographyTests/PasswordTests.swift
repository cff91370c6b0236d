import Testing

@testable import Cryptography

@Suite struct PasswordTests {
    /// The least that libsodium accepts: the tests are about the wrapper.
    static let cheap = PasswordCost(operations: 1, memoryBytes: 8192)
    let hasher = PasswordHasher(cost: cheap)

    @Test func aHashVerifiesItsPasswordOnly() async throws {
        let stored = try await hasher.hash(ascii("correct horse"))
        #expect(stored.hasPrefix("$argon2id$v=19$"))
        #expect(try await hasher.verify(ascii("correct horse"), against: stored))
        #expect(try await !hasher.verify(ascii("correct horsf"), against: stored))
        #expect(try await !hasher.verify([], against: stored))
    }

    @Test func theDefaultCostIsSixtyFourMebibytes() async throws {
        let stored = try await PasswordHasher().hash(ascii("x"))
        #expect(stored.hasPrefix("$argon2id$v=19$m=65536,t=2,p=1$"))
    }

    @Test func saltsDiffer() async throws {
        let first = try await hasher.hash(ascii("same"))
        let second = try await hasher.hash(ascii("same"))
        #expect(first != second)
    }

    @Test func emptyPasswordsAndNulBytesCount() async throws {
        let empty = try await hasher.hash([])
        #expect(try await hasher.verify([], against: empty))
        #expect(try await !hasher.verify([0], against: empty))
        let stored = try await hasher.hash([65, 0, 66])
        #expect(try await !hasher.verify([65, 0, 67], against: stored))
    }

    @Test(arguments: ["", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
    func whatIsNoHashVerifiesNothing(stored: String) async throws {
        #expect(try await !hasher.verify(ascii("plain"), against: stored))
    }

    @Test func anotherCostAsksForARehash() async throws {
        let stored = try await hasher.hash(ascii("x"))
        #expect(!hasher.needsRehash(stored))
        #expect(PasswordHasher(cost: PasswordCost(operations: 2, memoryBytes: 16384)).needsRehash(stored))
        #expect(hasher.needsRehash("no hash"))
    }

    @Test func aFloodIsRefusedBeyondTheQueueAndServedWithinIt() async throws {
        let hasher = PasswordHasher(
            cost: PasswordCost(operations: 1, memoryBytes: 8 << 20), maximumConcurrent: 1, maximumWaiting: 2)
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<40 {
                group.addTask { (try? await hasher.hash([1])) != nil }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(outcomes.contains(true))
        #expect(outcomes.contains(false))
        _ = try await hasher.hash([1])  // and then it serves again
    }

    @Test func memoryThatCannotBeHadIsAnError() async throws {
        let greedy = PasswordHasher(cost: PasswordCost(operations: 1, memoryBytes: 1 << 50))
        await #expect(throws: CryptographyError.failed(operation: "crypto_pwhash_str")) {
            try await greedy.hash([1])
        }
    }
}
