/// How long a child that died is left alone before it is started again: longer each time, and from the start again once it has
/// run for a while.
struct RestartBackoff: Sendable {
    static let longest = Duration.seconds(30)
    static let settled = Duration.seconds(60)
    private var next = Duration.milliseconds(500)

    /// - Parameter ran: how long it had run.
    mutating func delay(afterRunning ran: Duration) -> Duration {
        if ran >= Self.settled { next = .milliseconds(500) }
        defer { next = min(next * 2, Self.longest) }
        return next
    }
}
