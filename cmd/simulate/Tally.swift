import Simulation

/// What many worlds have shown.
struct Tally {
    private var worlds = 0
    private var events = 0
    private var deliveries = 0
    private var requests = 0
    private var repeated = 0
    private var firedAgain = 0
    private var dead = 0
    private var virtualMs: Int64 = 0
    private var worstHealthyMs: Int64 = 0

    mutating func add(_ report: Trial.Report) {
        worlds += 1
        events += report.steps
        deliveries += report.deliveries
        requests += report.requests
        repeated += report.repeatedRequests
        firedAgain += report.firedAgain
        dead += report.dead
        virtualMs += report.virtualMs
        worstHealthyMs = max(worstHealthyMs, report.worstHealthyMs ?? 0)
    }

    func text(_ duration: Duration) -> String {
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
        let rate = Int(Double(events) / max(seconds, 0.001))
        return "simulated: \(worlds) worlds, \(virtualMs / 3_600_000) hours in \(Int(seconds)) s, "
            + "\(rate) events a second; \(deliveries) deliveries, \(requests) requests, \(repeated) repeated, "
            + "\(firedAgain) fired again, \(dead) dead letters; "
            + "healthy beside failing endpoints: at most \(worstHealthyMs) ms"
    }
}
