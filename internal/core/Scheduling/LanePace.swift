/// How fast one lane is let go. Nobody tells the index what an endpoint takes, but what it does not take comes back parked: so a lane
/// begins with one delivery a round, lets go of twice as many in the next one while nothing comes back, and of half as many
/// once more than one in sixteen does.
///
/// ```
///  a round      nothing came back          a few did       more than 1/16 of the width did
///  as a rule    width × 2                  as it is        width ÷ 2 at once, and a new round begins
///  for eight rounds after a halving, if not to one
///               width × 9/8                as it is        as above
///  right after a halving (what comes back may have been let go before it)
///               as it is                   as it is        width ÷ 2 at its end
/// ```
/// A round lasts as long as a request may. What is let go in it is spread over it, for an endpoint that takes a hundred a second does
/// not take a thousand at once. Times are milliseconds since 1970.
struct LanePace: Equatable, Sendable {
    /// Deliveries let go in a round.
    private(set) var width = 1
    private var released = 0
    private var back = 0
    private var roundEnd: Int64
    /// Rounds of cautious growth that are left.
    private var caution = 0
    private var isRecovering = false
    /// When more may be let go; what comes back to a lane of width one says when it is worth it.
    private(set) var nextAt: Int64
    private var earliest: Int64

    private static let maxWidth = 1 << 20
    /// What is due sooner again is let go together.
    private static let tickMs: Int64 = 100
    private static let cautiousRounds = 8

    init(now: Int64, roundMs: Int64) {
        roundEnd = now + roundMs
        nextAt = now
        earliest = now
    }

    /// The lane is due: how many are let go, at most `room` (1 at least), and when it is due again.
    mutating func release(now: Int64, room: Int, roundMs: Int64) -> (count: Int, nextAt: Int64) {
        if now >= roundEnd { endRound(now: now, roundMs: roundMs) }
        guard now >= nextAt else { return (0, nextAt) }
        let wide = Int64(width)
        let count = min(max(1, (wide * Self.tickMs + roundMs - 1) / roundMs), wide, Int64(room))
        released += Int(count)
        earliest = now + max(1, count * roundMs / wide)
        nextAt = earliest
        return (Int(count), nextAt)
    }

    private mutating func endRound(now: Int64, roundMs: Int64) {
        if isRecovering, isTooMuch {
            halve()
        } else if isRecovering {
            isRecovering = false
        } else if back == 0, released * 2 >= width {
            // One that let go of less has not shown that its width is not too much.
            width = min(caution > 0 ? width + max(1, width / 8) : width * 2, Self.maxWidth)
            caution = max(0, caution - 1)
        }
        begin(now: now, roundMs: roundMs)
    }

    private mutating func begin(now: Int64, roundMs: Int64) {
        released = 0
        back = 0
        roundEnd = now + roundMs
    }

    private var isTooMuch: Bool { back * 16 > width }

    private mutating func halve() {
        width = max(1, width / 2)
        caution = width == 1 ? 0 : Self.cautiousRounds
    }

    /// A delivery that waited before waits again; `dueAt` is when it may be worth it.
    mutating func returned(dueAt: Int64, now: Int64, roundMs: Int64) {
        back += 1
        if !isRecovering, isTooMuch {
            halve()
            isRecovering = true
            begin(now: now, roundMs: roundMs)
        }
        if width == 1 { nextAt = max(nextAt, dueAt) }
    }

    /// A delivery waits for the first time: where that is worth it sooner than what came back, the lane is, too.
    mutating func joined(dueAt: Int64) { nextAt = min(nextAt, max(dueAt, earliest)) }
}
