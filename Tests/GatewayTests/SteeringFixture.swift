import CLinux
import HTTPSending
import HTTPServing
import JSONScanning
import Kafka
import Postgres
import Records
import ServiceSupport
import TestSupport
import WireFormat

@testable import Gateway

/// A gateway with registry and observability, a webhook, and hands on Kafka in the dispatcher's place.
struct SteeringFixture {
    let gateway: GatewayFixture
    let token: String
    let webhook: String
    let producer: AsyncProducer
    /// The deliveries' partition.
    let partition: Int32 = 1
    let startedAt = clinux_realtime_ms()

    /// An event of tenant acme in topic `events`.
    func event(_ id: String, payload: [UInt8]? = Array(#"{"n":1.50}"#.utf8), tenant: String = "acme") async throws
        -> Int64
    {
        let receipt = try await producer.send(
            to: gateway.topics.events, partition: partition, key: Array(id.utf8), value: payload,
            headers: eventHeaders(id, tenant: tenant), timestamp: startedAt - 5_000)
        return receipt.offset ?? -1
    }

    func eventHeaders(_ id: String, tenant: String = "acme") -> RecordHeaders {
        var headers = RecordHeaders()
        headers.append(RecordHeader.id, id)
        headers.append(RecordHeader.type, "order.created")
        headers.append(RecordHeader.source, "shop")
        headers.append(RecordHeader.specVersion, "1.0")
        headers.append(RecordHeader.contentType, "application/json")
        headers.append(RecordHeader.tenant, tenant)
        headers.append("ce_extra", "ä")
        return headers
    }

    /// The first outcome of an event's delivery, as the dispatcher would write it.
    func outcome(_ event: String, _ kind: Outcome.Kind, origin: Int64, tenant: String = "acme") -> Outcome {
        var outcome = Outcome()
        outcome.kind = kind
        outcome.delivery = DeliveryIdentity(logID: "l", topic: "events", partition: partition)
            .id(offset: origin, timestamp: 0, webhook: event + webhook)
        outcome.webhookID = webhook
        outcome.tenant = tenant
        outcome.eventID = event
        outcome.eventType = "order.created"
        outcome.sourceTopic = gateway.topics.events
        outcome.originTopic = gateway.topics.events
        outcome.sourcePartition = partition
        outcome.originPartition = partition
        outcome.sourceOffset = origin
        outcome.originOffset = origin
        outcome.fanOut = 1
        outcome.requestID = UInt64.random(in: 1 ... .max)
        outcome.attempt = 1
        outcome.startedAtMs = startedAt
        outcome.eventTimeMs = startedAt - 5_000
        outcome.durationUs = 100
        outcome.status = kind == .delivered ? 200 : 500
        if kind == .failed || kind == .parked {
            outcome.reason = "status_500"
            outcome.generation = 1
            outcome.recordTopic = gateway.topics.retries
            outcome.dueAtMs = startedAt + 600_000
        }
        if kind == .dead {
            outcome.reason = "attempts_exhausted"
            outcome.failure = "status_500"
        }
        return outcome
    }

    /// Writes an outcome and waits until the API tells of it. Returns the delivery's id.
    @discardableResult
    func write(_ outcome: Outcome) async throws -> String {
        let id = outcome.delivery?.description ?? ""
        try await producer.send(
            to: gateway.topics.attempts, partition: partition, key: Array(id.utf8), value: outcome.encoded())
        let token = try gateway.token(tenant: outcome.tenant)
        let status = ["failed": "retrying"][outcome.kind.name] ?? outcome.kind.name
        let isSeen = await eventually(within: .seconds(20)) {
            await gateway.send(.get, "/api/v1/deliveries/\(id)", token: token).string("status") == status
        }
        guard isSeen else { throw ChildProcess.Failure(description: "history does not tell of \(id)") }
        return id
    }

    /// A dead letter with its record. Returns the delivery's id.
    func deadLetter(
        _ event: String, payload: [UInt8] = Array("given up".utf8), origin: Int64 = 0, tenant: String = "acme",
        change: (inout Outcome) -> Void = { _ in }
    ) async throws -> String {
        var outcome = outcome(event, .dead, origin: origin, tenant: tenant)
        change(&outcome)
        let id = outcome.delivery?.description ?? ""
        var headers = eventHeaders(event, tenant: tenant)
        headers.append(RecordHeader.delivery, id)
        headers.append(RecordHeader.originTimestamp, "4711")
        headers.append(RecordHeader.reason, "attempts_exhausted")
        let receipt = try await producer.send(
            to: gateway.topics.deadLetters, partition: partition, key: Array(id.utf8), value: payload, headers: headers)
        outcome.recordTopic = gateway.topics.deadLetters
        outcome.recordOffset = receipt.offset ?? -1
        return try await write(outcome)
    }

    func post(_ path: String, _ body: String? = nil, token: String? = nil) async -> Answer {
        await gateway.send(.post, "/api/v1/" + path, body, token: token ?? self.token)
    }

    func get(_ path: String) async -> Answer { await gateway.send(.get, "/api/v1/" + path, token: token) }
}

/// Runs `body` with everything there.
func withSteering(
    kafka: KafkaBroker? = nil, _ body: @Sendable (SteeringFixture) async throws -> Void
) async throws {
    try await withGateway(kafka: kafka, observes: true) { gateway in
        let token = try gateway.token()
        let made = await gateway.send(
            .post, "/api/v1/webhooks", #"{"url":"https://example.org/","event_types":["*"]}"#, token: token)
        guard let webhook = made.string("id") else { throw ChildProcess.Failure(description: made.text) }
        let producer = try await AsyncProducer.start(ProducerConfiguration(gateway.kafka.configuration()))
        do {
            try await body(SteeringFixture(gateway: gateway, token: token, webhook: webhook, producer: producer))
        } catch {
            await producer.close()
            throw error
        }
        await producer.close()
    }
}

extension CopiedRecord {
    func text(_ name: StaticString) -> String? { header("\(name)").map { String(decoding: $0, as: UTF8.self) } }
    var keyText: String { String(decoding: key ?? [], as: UTF8.self) }
    var martletHeaders: Set<String> { Set(headers.map(\.name).filter { $0.hasPrefix("martlet-") }) }
}
