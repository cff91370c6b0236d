/// When the next snapshot may be made: while changes keep coming, making them takes at most a tenth of the time. A tenant of 100,000
/// webhooks is indexed for tens of milliseconds, and one who sets so many up changes hundreds a second.
struct SnapshotPace {
    private var next: UInt64 = 0

    /// - Parameters:
    ///   - start, end: of the making (monotonic, ns).
    mutating func made(from start: UInt64, to end: UInt64) {
        next = end + 9 * (end - start)
    }

    /// nil: at once. Otherwise when (monotonic, ns).
    func wait(at now: UInt64) -> UInt64? { now < next ? next : nil }
}
