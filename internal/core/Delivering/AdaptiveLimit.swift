/// How many requests may run to an endpoint at a time, as its answers suggest: as many as the webhook allows at first; half of that
/// for each round of requests in which it was overloaded, at least one; one more for each round that succeeded.
public struct AdaptiveLimit: Sendable {
    /// Which round a request belongs to. A round ends when the limit is halved: what was started before says nothing about the new limit.
    public struct Round: Equatable, Sendable {
        fileprivate var number: UInt32
    }

    /// nil: the maximum.
    private var limit: Double?
    private var number: UInt32 = 0

    public init() {}

    /// Of the next request.
    public var round: Round { Round(number: number) }

    public func value(maximum: Int) -> Int { min(maximum, limit.map { Int($0) } ?? maximum) }

    /// - Parameter running: requests that ran when it ended, this one included. Where they are far fewer than may run, a success does
    ///   not show that more would be fine.
    public mutating func succeeded(_ round: Round, running: Int, maximum: Int) {
        guard let limit, round.number == number, running * 2 >= Int(limit) else { return }
        let raised = limit + 1 / limit
        self.limit = raised >= Double(maximum) ? nil : raised
    }

    public mutating func overloaded(_ round: Round, maximum: Int) {
        guard round.number == number else { return }
        limit = max(1, min(limit ?? .infinity, Double(maximum)) / 2)
        number &+= 1
    }

    /// Back to the maximum; requests under way say nothing.
    public mutating func reset() {
        limit = nil
        number &+= 1
    }
}
