internal import Kafka

/// Where a partition of `attempts` is read on, by what is stored and what the log holds.
enum PositionPlan: Equatable, Sendable {
    /// A position as the database has it.
    struct Stored: Equatable, Sendable {
        var logID: String
        var next: Int64
    }

    /// At the stored position.
    case resume(Int64)
    /// Nothing is stored yet: at the log's start.
    case begin(Int64)
    /// The stored position belongs to another log: at this one's start.
    case startOver(Int64)
    /// Retention took `lost` records before they were stored: at the log's start.
    case skip(Int64, lost: Int64)

    /// - Parameter log: The log's bounds, asked for after `stored` was read: else a position that another instance has moved since would
    ///   seem to lie past the end.
    init(stored: Stored?, log: Watermarks, logID: String) {
        guard let stored else {
            self = .begin(log.low)
            return
        }
        if stored.logID != logID || stored.next > log.high {
            self = .startOver(log.low)
        } else if stored.next < log.low {
            self = .skip(log.low, lost: log.low - stored.next)
        } else {
            self = .resume(stored.next)
        }
    }

    /// Whether the position lies past the end of the very log that it belongs to. A broker that has just become the leader may know an older
    /// end for a moment, so this is to be seen again before it is believed.
    static func isPastEnd(stored: Stored?, log: Watermarks, logID: String) -> Bool {
        stored.map { $0.logID == logID && $0.next > log.high } ?? false
    }

    var next: Int64 {
        switch self {
        case .resume(let next), .begin(let next), .startOver(let next), .skip(let next, _): next
        }
    }
}
