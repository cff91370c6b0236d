public import Records

extension Outcome {
    /// The generation that the delivery was in when its record was taken: what was put off has moved on to the next one.
    public var generationBefore: UInt32 {
        kind == .failed || kind == .parked ? max(generation, 1) - 1 : generation
    }

    /// Whether the endpoint was sent something.
    public var hasRequest: Bool { kind == .delivered || kind == .failed || durationUs > 0 }
}

/// Remembers the steps of one partition's deliveries, and finds those that were made twice. A step is what becomes of a delivery in one generation:
/// sent, put off or closed, once.
///
/// Remembers the last `capacity` steps, some 85 bytes each, by 64 bits: among a hundred million the chance of one mistake is one in three
/// thousand. One thread at a time.
public struct StepMemory: Sendable {
    /// A second outcome of a step.
    public struct Repeat: Equatable, Sendable {
        public enum Cause: String, Equatable, Sendable {
            /// It is the same outcome, appended twice by a producer that did not learn of the first time. Nothing was done twice.
            case sameOutcome = "appended_twice"
            /// The same record was taken twice: whoever took it the second time did not know of the first outcome.
            case sameRecord = "taken_twice"
            /// The retry-manager wrote the same generation to `deliveries` twice.
            case firedAgain = "fired_twice"
        }

        public var cause: Cause
        /// The endpoint was sent something this time, and before.
        public var isSentTwice: Bool
        /// An outcome before closed the delivery.
        public var wasFinal: Bool
        public var firstSourceOffset: Int64
    }

    private struct Known {
        var request: UInt64
        var sourceOffset: Int64
        var hasRequest: Bool
        var isFinal: Bool
    }

    private let capacity: Int
    private var steps: [UInt64: Known] = [:]
    private var order: [UInt64] = []
    private var oldest = 0

    public init(capacity: Int) { self.capacity = max(1, capacity) }

    /// nil for the first outcome of its step, and for one of no delivery.
    public mutating func learn(_ outcome: Outcome) -> Repeat? {
        guard outcome.kind != .covered, let id = outcome.delivery else { return nil }
        let key = Self.key(id, outcome.generationBefore)
        let new = Known(
            request: outcome.requestID, sourceOffset: outcome.sourceOffset, hasRequest: outcome.hasRequest,
            isFinal: outcome.kind.isFinal)
        guard let known = steps[key] else {
            remember(key, new)
            return nil
        }
        steps[key]?.hasRequest = known.hasRequest || new.hasRequest
        steps[key]?.isFinal = known.isFinal || new.isFinal
        let isSame = known.request == outcome.requestID
        let cause: Repeat.Cause =
            isSame ? .sameOutcome : known.sourceOffset == outcome.sourceOffset ? .sameRecord : .firedAgain
        return Repeat(
            cause: cause, isSentTwice: !isSame && known.hasRequest && new.hasRequest, wasFinal: known.isFinal,
            firstSourceOffset: known.sourceOffset)
    }

    /// Whether this step of the delivery has an outcome.
    func holds(_ delivery: DeliveryID, generation: UInt32) -> Bool { steps[Self.key(delivery, generation)] != nil }

    private static func key(_ delivery: DeliveryID, _ generation: UInt32) -> UInt64 {
        delivery.word &+ UInt64(generation) &* 0x9e37_79b9_7f4a_7c15
    }

    private mutating func remember(_ key: UInt64, _ step: Known) {
        steps[key] = step
        if order.count < capacity {
            order.append(key)
        } else {
            steps[order[oldest]] = nil
            order[oldest] = key
            oldest = (oldest + 1) % capacity
        }
    }
}
