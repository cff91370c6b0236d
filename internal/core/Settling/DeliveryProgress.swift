/// In which order the records of one delivery are written: what failed, was parked or given up goes to `retries` or
/// `dead-letters` first, and only when that is acknowledged its outcome goes to `attempts`. So an outcome is proof that
/// nothing more is owed. What Kafka did not take is written again; a request is never made again for it.
public struct DeliveryProgress: Sendable {
    /// What is to be done next.
    public enum Step: Equatable, Sendable {
        case writeRecord
        case writeOutcome
        case settle
    }

    private enum State: Equatable {
        /// → recording, reporting
        case undecided
        /// → reporting
        case recording
        /// → settled
        case reporting
        case settled
    }

    private var state = State.undecided

    public init() {}

    /// Whether its verdict has fallen but its outcome is not acknowledged.
    public var isUnacknowledged: Bool { state == .recording || state == .reporting }

    /// The request has ended, or none will be made.
    /// - Parameter carriesOn: whether the payload has to go to `retries` or `dead-letters`.
    public mutating func decided(carriesOn: Bool) -> Step {
        precondition(state == .undecided)
        state = carriesOn ? .recording : .reporting
        return carriesOn ? .writeRecord : .writeOutcome
    }

    /// Kafka has acknowledged the last write.
    public mutating func acknowledged() -> Step {
        switch state {
        case .recording:
            state = .reporting
            return .writeOutcome
        case .reporting:
            state = .settled
            return .settle
        case .undecided, .settled: preconditionFailure("nothing was written")
        }
    }

    /// Kafka did not take the last write, or did not say so: it is written again.
    public func refused() -> Step {
        switch state {
        case .recording: .writeRecord
        case .reporting: .writeOutcome
        case .undecided, .settled: preconditionFailure("nothing was written")
        }
    }
}
