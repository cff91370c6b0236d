import Glibc
import TestSupport

/// What came of one fault.
struct TrialResult: Sendable {
    let fault: Fault
    /// Events that were answered 202, otherwise, or not at all.
    var accepted = 0
    var refused = 0
    var unanswered = 0
    /// Deliveries (event × webhook) that arrived and were taken, and that did not.
    var delivered = 0
    var missing = 0
    var deadLetters = 0
    var repeats = 0
    /// Requests that the history does not have.
    var unrecorded = 0
    /// Requests a second to endpoints that were away, once they are back.
    var peakAfterReturn = 0
    /// From sending an event to the answer that took it, in milliseconds.
    var worstDelayMs: Int64 = 0
    var problems: [String] = []

    init(_ fault: Fault) { self.fault = fault }

    mutating func count(_ taken: [String: Int64], of accepted: [String: Int64]) {
        for (id, sentMs) in accepted {
            guard let takenMs = taken[id] else {
                missing += 1
                continue
            }
            delivered += 1
            worstDelayMs = max(worstDelayMs, takenMs - sentMs)
        }
    }

    mutating func judge() {
        if accepted == 0 { problems.append("nothing was accepted") }
        if missing > 0 { problems.append("\(missing) deliveries are missing") }
        if repeats > fault.repeats { problems.append("\(repeats) requests repeated, \(fault.repeats) allowed") }
        if unrecorded > fault.repeats { problems.append("the history lacks \(unrecorded) requests") }
        if deadLetters > 0 { problems.append("\(deadLetters) dead letters") }
    }

    var verdict: String { problems.isEmpty ? "holds" : problems.joined(separator: "; ") }

    var line: String {
        "fault \(fault.number), \(fault.name): \(accepted) accepted, \(refused) refused, \(unanswered) unanswered, \(delivered) delivered, \(missing) missing, \(repeats) repeated (at most \(fault.repeats)), \(unrecorded) not in the history, \(peakAfterReturn)/s at most after a return, worst delay \(worstDelayMs) ms: \(verdict)"
    }

    fileprivate var cells: [String] {
        [
            "\(fault.number)", fault.name, "\(accepted)", "\(refused)", "\(unanswered)", "\(delivered)",
            "\(deadLetters)",
            "\(missing)", "\(repeats)", "\(fault.repeats)", "\(unrecorded)",
            "\(worstDelayMs)", verdict,
        ]
    }
}

/// The table of all faults, as Markdown and as comma-separated values, in `.build/chaos`.
struct ChaosReport {
    private var rows: [TrialResult] = []
    private static let titles = [
        "#", "fault", "accepted", "refused", "unanswered", "delivered", "dead letters", "missing", "repeated",
        "allowed",
        "unrecorded", "worst delay, ms", "verdict",
    ]

    private static let folder = ".build/chaos"

    mutating func add(_ result: TrialResult) { rows.append(result) }

    /// Each event of a fault, in a file named after the fault.
    static func keep(_ rawData: String, of fault: Fault) throws {
        mkdir(folder, 0o755)
        let words = fault.name.split { !$0.isLetter && !$0.isNumber }.joined(separator: "-")
        try TestSupport.write(rawData, to: "\(folder)/\(fault.number)-\(words).csv")
    }

    /// In the folder that the tests run in.
    func write() throws {
        mkdir(Self.folder, 0o755)
        let table = rows.map(\.cells)
        let lines = [Self.titles, Self.titles.map { _ in "---" }] + table
        let markdown = lines.map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
        try TestSupport.write(markdown, to: "\(Self.folder)/report.md")
        let values = ([Self.titles] + table).map { cells in
            cells.map { "\"\($0)\"" }.joined(separator: ",") + "\n"
        }
        try TestSupport.write(values.joined(), to: "\(Self.folder)/report.csv")
    }
}
