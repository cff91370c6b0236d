internal import CLinux
internal import HTTPSending
internal import HTTPServing
internal import JSONScanning
internal import Kafka
internal import Logs
internal import Records
internal import ServiceSupport
internal import Tokens

/// What users do to deliveries. Observability says how a delivery stands and where its records lie; what is wanted is written to Kafka.
struct Steering: Sendable {
    let kafka: SteeringKafka
    let history: HistoryCalls
    let registry: RegistryCalls
    let topics: Topics
    let partitions: Int
    let maxEventBytes: Int
    let logger: Logger

    init(
        _ configuration: Configuration, kafka: SteeringKafka, history: HistoryCalls, registry: RegistryCalls,
        logger: Logger
    ) {
        self.kafka = kafka
        self.history = history
        self.registry = registry
        self.logger = logger
        topics = configuration.kafka.topics
        partitions = configuration.kafka.partitions
        maxEventBytes = configuration.events.maxSizeBytes
    }

    func routes(_ access: Access) -> [HTTPRoute] {
        SteeredDeliveryRoutes(steering: self, access: access).routes
            + DeadLetterRoutes(steering: self, access: access).routes
    }

    /// On whose behalf something is done.
    struct Caller: Sendable {
        var tenant: String
        var requestID: String

        init(_ claims: TokenClaims, _ request: HTTPRequest) {
            tenant = claims.tenant
            requestID = request.requestID
        }
    }

    // MARK: What is known

    /// 404 for an id that is none of the tenant's.
    func delivery(_ id: String, _ caller: Caller) async throws -> KnownDelivery {
        try KnownDelivery(
            try await history.call(.get, ["deliveries", id], tenant: caller.tenant, requestID: caller.requestID))
    }

    /// Whether the webhook is there. Throws 503 while nobody can say.
    func hasWebhook(_ id: String, _ caller: Caller) async throws -> Bool {
        var call = GetWebhookRequest()
        call.tenant = caller.tenant
        call.id = id
        do {
            _ = try await registry.read(RegistryMethod.get, call, returning: GetWebhookReply.self)
            return true
        } catch let problem as HTTPProblem where problem.status == 404 {
            return false
        }
    }

    static let webhookGone = HTTPProblem(
        status: 409, code: "webhook_gone", detail: "The webhook has been deleted, so there is nowhere to send this.")

    // MARK: Commands

    /// Writes what a user wants of a delivery beside the delivery's own record, for the retry-manager. Kafka has it on return.
    func command(_ what: String, _ key: RetryKey, _ delivery: KnownDelivery) async throws(HTTPProblem) {
        var headers = RecordHeaders()
        headers.append(RecordHeader.command, what)
        headers.append(RecordHeader.delivery, delivery.id.description)
        headers.append(RecordHeader.generation, String(delivery.generation))
        // A value, never null: that would be a tombstone.
        try await kafka.send(
            to: topics.retries, partition: delivery.partition, key: key.description, value: [], headers: headers)
    }

    // MARK: New deliveries

    /// A delivery that a user asks for.
    struct Wanted: Sendable {
        var id: DeliveryID
        var webhookID: String
        var eventID: String
        var eventType: String
        /// RFC 3339.
        var eventTime: String
        var partition: Int32
        /// The one that it repeats; nil for a test.
        var parent: DeliveryID?
        var payload: [UInt8]
        /// Those of the event.
        var headers: RecordHeaders
        /// nil: the record itself is the event's.
        var origin: (place: RecordPlace, timestamp: Int64)?

        static func newID() -> DeliveryID {
            var random = SystemRandomNumberGenerator()
            return DeliveryID(random: random.next(), random.next())
        }

        /// A delivery once more.
        init(_ id: DeliveryID, repeating delivery: KnownDelivery, from source: EventSource) {
            self.id = id
            webhookID = delivery.webhookID
            eventID = delivery.eventID
            eventType = delivery.eventType
            eventTime = delivery.eventTime
            partition = delivery.partition
            parent = delivery.id
            payload = source.payload
            headers = source.headers
            origin = (source.origin, source.originTimestamp)
        }

        init(
            test id: DeliveryID, webhookID: String, eventID: String, eventType: String, eventTime: String,
            partition: Int32, payload: [UInt8], headers: RecordHeaders
        ) {
            self.id = id
            self.webhookID = webhookID
            self.eventID = eventID
            self.eventType = eventType
            self.eventTime = eventTime
            self.partition = partition
            self.payload = payload
            self.headers = headers
        }
    }

    /// Makes a delivery: first seen as pending, then given to Kafka, which has it on return. Throws `HTTPProblem`; it is not there then,
    /// or `unacknowledged`.
    /// - Returns: how it stands, as observability tells.
    func make(_ wanted: Wanted, _ caller: Caller) async throws -> KnownDelivery {
        let path = ["deliveries", wanted.id.description]
        let known = try KnownDelivery(
            try await history.call(
                .post, path, tenant: caller.tenant, body: wanted.registration, requestID: caller.requestID))
        do {
            try await kafka.send(
                to: topics.deliveries, partition: wanted.partition, key: wanted.webhookID, value: wanted.payload,
                headers: wanted.recordHeaders(nowMs: clinux_realtime_ms()))
        } catch {
            await attempt("a delivery that Kafka did not take cannot be withdrawn") {
                _ = try await history.call(.delete, path, tenant: caller.tenant, requestID: caller.requestID)
            }
            throw error
        }
        return known
    }

    /// Does what the caller's answer does not depend on; a failure is logged.
    func attempt(_ failure: String, _ work: () async throws -> Void) async {
        do {
            try await work()
        } catch {
            logger.warning("\(failure)", metadata: [LogKey.error: "\(error)"])
        }
    }
}

extension Steering.Wanted {
    /// What observability is told.
    fileprivate var registration: JSONWriter {
        var json = JSONWriter(reserving: 400)
        json.object { json in
            json.member("webhook_id", webhookID)
            json.member("event_id", eventID)
            json.member("event_type", eventType)
            json.member("event_time", eventTime)
            json.member("partition", partition)
            if let parent { json.member("parent", parent.description) }
            guard let place = origin?.place else { return }
            json.key("origin")
            json.object { json in
                json.member("topic", place.topic)
                json.member("partition", place.partition)
                json.member("offset", place.offset)
            }
        }
        return json
    }

    fileprivate func recordHeaders(nowMs: Int64) -> RecordHeaders {
        var headers = headers
        headers.append(RecordHeader.delivery, id.description)
        headers.append(RecordHeader.webhook, webhookID)
        headers.append(RecordHeader.generation, "0")
        headers.append(RecordHeader.attempt, "0")
        if let (place, timestamp) = origin {
            headers.append(RecordHeader.originTopic, place.topic)
            headers.append(RecordHeader.originPartition, String(place.partition))
            headers.append(RecordHeader.originOffset, String(place.offset))
            headers.append(RecordHeader.originTimestamp, String(timestamp))
        }
        headers.append(RecordHeader.since, String(nowMs))
        if let parent { headers.append(RecordHeader.parent, parent.description) }
        return headers
    }
}
