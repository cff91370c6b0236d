internal import JSONScanning

/// What runs where, what to try, and how to stop it.
struct Summary {
    let running: LocalState.Running
    let state: LocalState

    private var isStandard: Bool { running.ports == LocalPorts() }

    private var stop: String {
        isStandard ? "make down   (or: martlet down)" : "martlet down --state \(state.directory)"
    }

    private var kafka: String {
        switch running.kafka {
        case "memory": "\(running.brokers)   in memory: it keeps nothing"
        case "cluster": "\(running.brokers)   the configured cluster"
        default: running.brokers
        }
    }

    var text: String {
        let ports = running.ports
        return """

            Martlet is up.

              API             http://localhost:\(ports.gateway)   user admin, password "password" (this local profile only)
              events          http://localhost:\(ports.ingestion)/events
              Kafka           \(kafka)
              health          http://localhost:\(ports.gateway)/health, /ready and /metrics, and on each service's port
              logs            \(state.logs)

            Try it:

              TOKEN=$(curl -s -X POST localhost:\(ports.gateway)/auth/login -H 'Content-Type: application/json' -d '{"username":"admin","password":"password"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
              curl -X POST localhost:\(ports.gateway)/api/v1/webhooks -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"url":"http://localhost:9000/hook","event_types":["user.*"]}'
              curl -X POST localhost:\(ports.ingestion)/events -H 'Content-Type: application/json' -d '{"type":"user.created","source":"me","data":{"hello":"world"}}'

            Stop it:  \(stop)
            """
    }

    var json: String {
        jsonLine { writer in
            writer.object { writer in
                writer.member("status", "up")
                writer.member("pid", running.pid)
                writer.member("state", state.directory)
                writer.member("kafka", running.brokers)
                writer.member("kafka_mode", running.kafka)
                writer.key("ports")
                writer.object { writer in
                    for (name, path) in LocalPorts.all { writer.member(name, running.ports[keyPath: path]) }
                }
            }
        }
    }
}
