package import Kafka
internal import Logs
package import ServiceSupport

/// What a worker does with each record before anything is sent: opened for `Benchmarks/Micro`, which measures it.
package struct DispatchingHotPath: Sendable {
    private let table: DispatchTable

    /// With a table of these webhooks. Throws where the configuration has no key to open their secrets with.
    package init(_ snapshot: WebhookSnapshot, _ configuration: Configuration) throws {
        let compiler = DispatchTableCompiler(
            sealer: try SecretSealer(configuration.sealing), defaults: WebhookDefaults(configuration),
            log: Logger(label: "hot-path", output: LogOutput(service: "hot-path") { _ in }))
        table = compiler.compile(snapshot)
    }

    /// To how many webhooks an event goes.
    package func route(tenant: String, type: String) -> Int {
        var count = 0
        table.match(tenant: tenant, type: type) { _ in count += 1 }
        return count
    }

    /// Reads what an event's record says of it. Returns the bytes of its type; nil where it cannot be sent.
    package static func read(_ record: borrowing Record) -> Int? {
        let fields = RecordFields(record, isDelivery: false)
        return fields.defect == nil ? fields.eventType.utf8.count : nil
    }
}
