import JSONScanning

/// A process' share of a scenario.
struct ProcessShare: Equatable, Sendable {
    var name: String
    var cpuSeconds: Double
    var memoryBytes: Int
}

/// One point of a scenario's course, a second apart.
struct Moment: Equatable, Sendable {
    var seconds: Double
    /// Since the start.
    var sent: Int
    var accepted: Int
    var delivered: Int
}

/// What a figure is held against.
struct Budget: Equatable, Sendable {
    enum Sense: String, Sendable {
        case atLeast = "≥"
        case atMost = "≤"
    }
    var what: String
    var sense: Sense
    var must: Double
    var aim: Double
    var unit: String
    var measured: Double

    private func holds(_ bound: Double) -> Bool { sense == .atLeast ? measured >= bound : measured <= bound }
    var isMet: Bool { holds(must) }
    var verdict: String { !isMet ? "missed" : holds(aim) ? "met, as aimed at" : "met" }
}

/// What came of one scenario.
struct ScenarioResult: Sendable {
    var name: String
    /// One sentence: what was done.
    var what: String
    var seconds = 0.0
    /// Events a second that were asked for.
    var offered = 0.0
    var sent = 0
    var accepted = 0
    var refused: [String: Int] = [:]
    var delivered = 0
    /// Deliveries that CPU figures are divided by; what was accepted, where nothing is delivered.
    var events = 0
    /// Accepted and not delivered.
    var lost = 0
    var duplicates = 0
    /// From when an event was due to its 202, and to its first delivery. Milliseconds.
    var acknowledgement = Percentiles()
    var delivery = Percentiles()
    var processes: [ProcessShare] = []
    /// Of all processors, whoever worked: what is not in `processes` is the machine's own and other people's.
    var machineSeconds = 0.0
    var course: [Moment] = []
    var budgets: [Budget] = []
    /// Further figures, each a sentence.
    var notes: [String] = []

    var cpuPerEvent: Double { processes.reduce(0) { $0 + perEvent($1) } }
    func perEvent(_ share: ProcessShare) -> Double { events == 0 ? 0 : share.cpuSeconds * 1e6 / Double(events) }
    func perEvent(_ name: String) -> Double { processes.first { $0.name == name }.map(perEvent) ?? 0 }
    /// Events a second, from the first one due to the last delivery.
    var rate: Double { seconds == 0 ? 0 : Double(events) / seconds }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", name)
            writer.member("what", what)
            for (key, value) in [
                ("seconds", seconds), ("offered_per_second", offered), ("events_per_second", rate),
                ("cpu_us_per_event", cpuPerEvent), ("machine_cpu_seconds", machineSeconds),
            ] {
                writer.key(key)
                writer.double(value)
            }
            for (key, value) in [
                ("sent", sent), ("accepted", accepted), ("delivered", delivered), ("events", events), ("lost", lost),
                ("duplicates", duplicates),
            ] { writer.member(key, value) }
            writer.key("refused")
            writer.object { writer in for (status, count) in refused { writer.member(status, count) } }
            writer.key("acknowledgement_ms")
            acknowledgement.write(to: &writer)
            writer.key("delivery_ms")
            delivery.write(to: &writer)
            writer.key("processes")
            writer.array { writer in for share in processes { write(share, to: &writer) } }
            writer.key("budgets")
            writer.array { writer in for budget in budgets { budget.write(to: &writer) } }
            writer.key("course")
            writer.array { writer in for moment in course { moment.write(to: &writer) } }
            writer.key("notes")
            writer.array { writer in for note in notes { writer.string(note) } }
        }
    }

    private func write(_ share: ProcessShare, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("name", share.name)
            writer.key("cpu_us_per_event")
            writer.double(perEvent(share))
            writer.member("memory_bytes", share.memoryBytes)
        }
    }
}

extension Moment {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.array { writer in
            writer.double(seconds)
            for count in [sent, accepted, delivered] { writer.integer(count) }
        }
    }
}

extension Budget {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("what", what)
            writer.member("sense", sense.rawValue)
            for (key, value) in [("must", must), ("aim", aim), ("measured", measured)] {
                writer.key(key)
                writer.double(value)
            }
            writer.member("unit", unit)
            writer.member("verdict", verdict)
        }
    }
}

extension Percentiles {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("count", count)
            for (key, value) in [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999), ("max", max)] {
                writer.key(key)
                writer.double(value)
            }
            writer.key("curve")
            writer.array { writer in
                for point in curve {
                    writer.array { writer in
                        writer.double(point.percent)
                        writer.double(point.milliseconds)
                    }
                }
            }
        }
    }
}
