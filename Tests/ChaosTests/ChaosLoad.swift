import HTTPSending
import Synchronization
import TestSupport

/// A producer that goes on whatever happens: each event is sent once, and what was answered 202 is what Martlet owes.
final class ChaosLoad: Sendable {
    private struct State {
        /// When each accepted event was sent, in milliseconds since 1970.
        var accepted: [String: Int64] = [:]
        var refused = 0
        var unanswered = 0
        var isStopping = false
        var sent = 0
    }

    private let system: ChaosSystem
    private let type: String
    private let state = Mutex(State())
    private let senders = Mutex<Task<Void, Never>?>(nil)

    init(_ system: ChaosSystem, type: String) {
        self.system = system
        self.type = type
    }

    /// Events a second, from so many senders at once.
    func start(rate: Int = 200, senders count: Int = 16) {
        let pause = Duration.milliseconds(1_000 * count / rate)
        let task = Task {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<count {
                    group.addTask { [self] in
                        while !state.withLock({ $0.isStopping }) {
                            await sendOne()
                            try? await Task.sleep(for: pause)
                        }
                    }
                }
            }
        }
        senders.withLock { $0 = task }
    }

    private func sendOne() async {
        let number = state.withLock { state in
            state.sent += 1
            return state.sent
        }
        let id = "\(type)-\(number)"
        let sentMs = nowMs()
        let body = #"{"id":"\#(id)","type":"\#(type)","source":"chaos","data":{"n":\#(number)}}"#
        let result = try? await system.call(.post, .ingestion, "/events", json: body, timeoutMs: 15_000)
        state.withLock { state in
            switch result?.status {
            case 202: state.accepted[id] = sentMs
            case 0, nil: state.unanswered += 1
            default: state.refused += 1
            }
        }
    }

    var accepted: [String: Int64] { state.withLock { $0.accepted } }
    /// Answered with something else than 202.
    var refused: Int { state.withLock { $0.refused } }
    /// The connection ended without an answer: nobody knows.
    var unanswered: Int { state.withLock { $0.unanswered } }

    /// Returns once so many more have been accepted.
    func awaitAccepted(_ count: Int) async throws {
        let before = accepted.count
        if await eventually(within: .seconds(60), { accepted.count >= before + count }) { return }
        throw ChaosFinding(
            description: "only \(accepted.count - before) of \(count) events were accepted within a minute")
    }

    func stop() async {
        state.withLock { $0.isStopping = true }
        await senders.withLock { $0 }?.value
    }
}
