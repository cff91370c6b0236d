internal import JSONScanning

/// What `send` did.
public struct SendSummary: Sendable, Equatable {
    /// One event that was not accepted.
    public struct Failure: Sendable, Equatable {
        /// Of the input, from 1.
        public var line: Int
        public var reason: String
    }

    public var accepted = 0
    /// Of those, the ones that had been accepted before.
    public var duplicates = 0
    public var failed = 0
    /// The first hundred.
    public var failures: [Failure] = []
    /// Of the event, where there was only one.
    public var id: String?
    public var elapsedMilliseconds = 0

    /// Whether every event was accepted.
    public var succeeded: Bool { failed == 0 }

    static let maximumFailures = 100

    mutating func add(_ outcome: SendOutcome, line: Int) {
        switch outcome {
        case .accepted(let id, let isDuplicate):
            accepted += 1
            if isDuplicate { duplicates += 1 }
            self.id = accepted + failed == 1 ? id : nil
        case .refused(let reason), .gaveUp(let reason):
            failed += 1
            id = nil
            if failures.count < Self.maximumFailures { failures.append(Failure(line: line, reason: reason)) }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if let id { writer.member("id", id) }
            writer.member("accepted", accepted)
            writer.member("duplicates", duplicates)
            writer.member("failed", failed)
            writer.key("failures")
            writer.array { writer in
                for failure in failures {
                    writer.object { writer in
                        writer.member("line", failure.line)
                        writer.member("reason", failure.reason)
                    }
                }
            }
            writer.member("elapsed_ms", elapsedMilliseconds)
        }
    }

    var text: String {
        if let id {
            return duplicates > 0 ? "accepted before: \(printable(id))" : "accepted: \(printable(id))"
        }
        let again = duplicates > 0 ? " (\(duplicates) of them accepted before)" : ""
        let rate = elapsedMilliseconds > 0 ? (accepted + failed) * 1_000 / elapsedMilliseconds : 0
        return "\(accepted) accepted\(again), \(failed) not, in \(elapsedMilliseconds) ms (\(rate) a second)"
    }
}

/// `martlet send`: posts the events of `options.input` and prints what became of them. The command's exit code is 0 only if
/// the summary says `succeeded`. Throws where the input cannot be read or the URL is none.
public func send(_ options: SendOptions, output: CommandOutput = .standard) async throws(SendError) -> SendSummary {
    guard options.concurrency > 0 else { throw SendError(description: "--concurrency must be 1 or more") }
    let poster = try EventPoster(
        baseURL: options.baseURL, token: options.token, patienceMilliseconds: options.patienceMilliseconds)
    let feed = try await SendFeed(options.input)
    let summary = try await SendRun(poster: poster, concurrency: options.concurrency, output: output).sendAll(feed)
    if options.json { output.result(json: summary.write) } else { output.result(summary.text) }
    return summary
}
