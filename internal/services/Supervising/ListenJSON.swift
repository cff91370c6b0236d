internal import HTTPServing
internal import JSONScanning

extension Reception {
    /// For a program: one line. `verified` is null where there was no secret to verify with; headers are pairs, for names may
    /// repeat.
    var json: String {
        jsonLine { writer in
            writer.object { writer in
                writer.member("number", number)
                writer.key("received_at")
                writer.time(receivedAtMs)
                writer.member("method", request.method)
                writer.member("path", request.path)
                if let query = request.query { writer.member("query", query) }
                writer.key("headers")
                writer.array { writer in
                    for (name, value) in request.headers {
                        writer.array { pair in
                            pair.string(name)
                            pair.string(value)
                        }
                    }
                }
                write(signature, to: &writer)
                writer.member("answered", status)
                writer.key("body")
                writer.string(bytes: request.body)
            }
        }
    }

    private func write(_ signature: Signature, to writer: inout JSONWriter) {
        writer.key("verified")
        switch signature {
        case .verified: writer.boolean(true)
        case .refused(let reason):
            writer.boolean(false)
            writer.member("reason", reason)
        case .unchecked: writer.null()
        }
    }
}
