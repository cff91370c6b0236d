internal import CLinux
internal import Flags
internal import JSONScanning
internal import Kafka
internal import Logs
internal import ServiceSupport

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Look in Kafka itself whether every accepted event is accounted for, and what was sent twice.",
        discussion: """
            Reads events, attempts, retries, deliveries and dead-letters, in a running system too; joins no group and changes nothing. Exit \
            code 0: balanced; 1: something is unaccounted for; 2: it cannot tell. A request whose outcome had not reached Kafka when \
            its dispatcher was killed is in no topic: the endpoint may have seen more than this counts.
            """)
    @Option(valueName: "time", help: "Judge what was accepted since: 2026-05-06T07:00:00Z, or 90s, 30m, 24h, 7d ago.")
    var since: String?
    @Flag(help: "One JSON object.") var json = false
    @OptionGroup var source: ConfigurationOptions

    func validate() throws { _ = try sinceMs(now: 0) }

    func run() async throws {
        LoggingSystem.bootstrap(LogOutput(service: "martlet", level: .critical, descriptor: 2))
        let report: AuditReport
        do {
            report = try await audit()
        } catch let error where error is KafkaError || error is AuditError {
            CommandOutput.standard.note("Error: \(error)")
            throw ExitCode(AuditReport.Verdict.cannotTell.rawValue)
        }
        if json {
            CommandOutput.standard.result(json: { writer in writer.object { report.write(to: &$0) } })
        } else {
            CommandOutput.standard.result(report.lines.joined(separator: "\n"))
        }
        if report.verdict != .balanced { throw ExitCode(report.verdict.rawValue) }
    }

    private func audit() async throws -> AuditReport {
        let configuration = try source.load()
        let logger = Logger(label: "martlet")
        let client = configuration.kafka.client("martlet-audit", logger: logger)
        var reading = configuration.logReader("martlet-audit", logger: logger)
        // Nothing that it reads is written in transactions, and a foreign one that is open must not hold it up.
        reading.isolationLevel = .readUncommitted
        let settings = AuditSettings(
            topics: configuration.kafka.topics, group: configuration.dispatcher.group,
            sinceMs: try sinceMs(now: clinux_realtime_ms()))
        let reader = try await AsyncLogReader.start(reading)
        do {
            let audit = Audit(
                settings: settings, admin: try Admin(client),
                offsets: try GroupOffsets(client, groupID: settings.group), reader: reader)
            let report = try await audit.run()
            await reader.close()
            return report
        } catch {
            await reader.close()
            throw error
        }
    }

    /// Milliseconds since 1970.
    private func sinceMs(now: Int64) throws(ValidationError) -> Int64? {
        guard let since else { return nil }
        if let time = milliseconds(rfc3339: since) { return time }
        let units: [Character: Int64] = ["s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        guard let unit = since.last.flatMap({ units[$0] }), let count = Int64(since.dropLast()),
            (0...100_000).contains(count)
        else {
            throw ValidationError(
                "--since \(oneLine(since)): expected a time such as 2026-05-06T07:00:00Z, or how long ago, such as 24h")
        }
        return now - count * unit
    }
}
