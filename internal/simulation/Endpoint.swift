internal import Delivering

/// How an endpoint behaves. Each faulty one is a row of the faults that Martlet must survive.
enum Behaviour: Equatable, Sendable {
    case well
    /// Answers after so long.
    case slow(ms: Int64)
    /// Takes the request and says nothing; or a byte now and then: both end with the request's timeout.
    case hangs
    case drips
    case status(Int)
    /// 429 or 503 with `Retry-After`.
    case asksForTime(status: Int, seconds: Int)
    case refuses
    case resets
    case doesNotResolve
    case speaksGarbage
    /// A status, and more bytes behind it than anybody reads.
    case floods
    /// Of a hundred requests so many fail with 500.
    case flaky(percent: Int)
    /// This process has no file descriptor left.
    case noDescriptors

    /// How a request that starts now ends, and after how many milliseconds.
    func answer(_ random: inout Generator, timeoutMs: Int64) -> (end: RequestEnd, afterMs: Int64) {
        let quick = random.within(2...30)
        switch self {
        case .well: return (.answered(status: 200, retryAfter: nil), quick)
        case .slow(let ms):
            return ms < timeoutMs ? (.answered(status: 200, retryAfter: nil), ms) : (.failed(.timeout), timeoutMs)
        case .hangs, .drips: return (.failed(.timeout), timeoutMs)
        case .status(let status): return (.answered(status: status, retryAfter: nil), quick)
        case .asksForTime(let status, let seconds):
            return (.answered(status: status, retryAfter: String(seconds)), quick)
        case .refuses: return (.failed(.connect), 1)
        case .resets: return (.failed(.reset), quick)
        case .doesNotResolve: return (.failed(.resolve), quick)
        case .speaksGarbage: return (.failed(.protocolViolation), quick)
        case .floods: return (.answered(status: 200, retryAfter: nil), quick * 4)
        case .flaky(let percent): return (.answered(status: random.chance(percent) ? 500 : 200, retryAfter: nil), quick)
        case .noDescriptors: return (.failed(.noDescriptors), 0)
        }
    }

    /// Whether every request is answered with success, and soon.
    var isHealthy: Bool { self == .well || self == .floods }

    static func random(_ random: inout Generator) -> Behaviour {
        switch random.below(14) {
        case 0: .slow(ms: random.within(100...3_000))
        case 1: .hangs
        case 2: .drips
        case 3: .status(random.pick([301, 400, 401, 404, 408, 410, 413, 500, 502]))
        case 4: .status(500)
        case 5: .asksForTime(status: random.pick([429, 503]), seconds: random.below(6))
        case 6: .refuses
        case 7: .resets
        case 8: .doesNotResolve
        case 9: .speaksGarbage
        case 10: .floods
        case 11: .noDescriptors
        default: .flaky(percent: 10 + random.below(80))
        }
    }
}

/// A webhook as the registry has it.
struct SimulatedWebhook {
    var id: String
    /// The types that it takes.
    var types: Set<Int>
    var isEnabled = true
    var isPaused = false
    var exists = true
    var version = 1
    /// Requests at a time, of one process.
    var limit: Int
    /// 0: any.
    var ratePerSecond: UInt32 = 0
    /// How its endpoint behaves at first.
    var behaviour: Behaviour
}
