internal import CKafka

/// Collects librdkafka's properties for one client, in the order they are applied.
struct ClientProperties {
    let type: rd_kafka_type_t
    private var entries: [(key: String, value: String)] = []
    /// Those that only newer versions of librdkafka know.
    private var optional: [(key: String, value: String)] = []
    /// Keys whose values this library's promises rest on.
    private var fixed: Set<String> = []

    /// What every client shares. Reconnecting is bounded by a second, so that a broker's return is noticed soon.
    init(_ client: KafkaConfiguration, _ type: rd_kafka_type_t) {
        self.type = type
        fix("bootstrap.servers", client.brokers)
        set("client.id", client.clientID)
        fix("log.queue", "true")
        set("log.connection.close", "false")
        set("socket.nagle.disable", "true")
        set("socket.keepalive.enable", "true")
        set("reconnect.backoff.ms", "50")
        set("reconnect.backoff.max.ms", "1000")
        if type == RD_KAFKA_CONSUMER { set("allow.auto.create.topics", "false") }
        security(client)
    }

    private mutating func security(_ client: KafkaConfiguration) {
        switch (client.sasl != nil, client.tls != nil) {
        case (false, false): break
        case (true, false): set("security.protocol", "SASL_PLAINTEXT")
        case (false, true): set("security.protocol", "SSL")
        case (true, true): set("security.protocol", "SASL_SSL")
        }
        if let sasl = client.sasl {
            set("sasl.mechanism", sasl.mechanism)
            set("sasl.username", sasl.username)
            set("sasl.password", sasl.password)
        }
        if let tls = client.tls {
            tls.certificateAuthority.map { set("ssl.ca.location", $0) }
            tls.certificate.map { set("ssl.certificate.location", $0) }
            tls.key.map { set("ssl.key.location", $0) }
            tls.keyPassword.map { set("ssl.key.password", $0) }
        }
    }

    mutating func set(_ key: String, _ value: String) { entries.append((key, value)) }
    mutating func set(_ key: String, _ value: Int) { set(key, String(value)) }

    /// Sets a property where this version of librdkafka has it.
    mutating func setIfKnown(_ key: String, _ value: Int) { optional.append((key, String(value))) }

    /// Sets a property that the user may not change.
    mutating func fix(_ key: String, _ value: String) {
        set(key, value)
        fixed.insert(key)
    }

    /// Makes librdkafka's configuration object, which `rd_kafka_new` consumes.
    func build(user: [String: String], events: Int32) throws(KafkaError) -> OpaquePointer {
        guard let configuration = rd_kafka_conf_new() else {
            throw KafkaError(.systemResource, "rd_kafka_conf_new failed")
        }
        do throws(KafkaError) {
            for (key, value) in entries {
                try Self.apply(key, value, to: configuration)
            }
            for (key, value) in optional { rd_kafka_conf_set(configuration, key, value, nil, 0) }
            for (key, value) in user.sorted(by: { $0.key < $1.key }) {
                guard !fixed.contains(key) else {
                    throw Self.refusal(key, value, "this client sets it and depends on it")
                }
                try Self.apply(key, value, to: configuration)
            }
        } catch {
            rd_kafka_conf_destroy(configuration)
            throw error
        }
        rd_kafka_conf_set_events(configuration, events)
        return configuration
    }

    private static func apply(_ key: String, _ value: String, to configuration: OpaquePointer) throws(KafkaError) {
        let explanation = withErrorText { text, size in
            rd_kafka_conf_set(configuration, key, value, text, size) == RD_KAFKA_CONF_OK
        }
        if let explanation { throw refusal(key, value, explanation) }
    }

    private static func refusal(_ key: String, _ value: String, _ explanation: String) -> KafkaError {
        let shown = KafkaConfiguration.isSecret(key) ? KafkaConfiguration.mask : value
        return KafkaError(.invalidArgument, "Kafka property \(key) = \"\(shown)\": \(explanation)")
    }
}

/// Calls a function that fills a text buffer when it fails; nil when it answers true.
func withErrorText(_ body: (UnsafeMutablePointer<CChar>?, Int) -> Bool) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
        buffer.initialize(repeating: 0)
        if body(buffer.baseAddress, buffer.count) { return nil }
        return buffer.baseAddress.map { String(cString: $0) } ?? ""
    }
}
