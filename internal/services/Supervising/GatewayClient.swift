internal import HTTPSending
internal import JSONScanning

/// What the gateway refused, or why it could not be asked; for a person.
struct GatewayError: Error, Equatable, CustomStringConvertible {
    let description: String
}

/// The gateway's API for somebody who has logged in, or has a token.
struct GatewayClient: Sendable {
    private let client: HTTPClient
    private let baseURL: String
    private(set) var token = ""

    /// - Parameter baseURL: such as `http://127.0.0.1:8080`.
    init(baseURL: String, token: String = "") throws(GatewayError) {
        do {
            client = try HTTPClient()
        } catch {
            throw GatewayError(description: "\(error)")
        }
        self.baseURL = baseURL
        self.token = token
    }

    /// The token is for the calls that follow.
    mutating func logIn(username: String, password: String) async throws(GatewayError) {
        let body = jsonLine { writer in
            writer.object { writer in
                writer.member("username", username)
                writer.member("password", password)
            }
        }
        let result = try await call(.post, "/auth/login", body: body)
        guard let answer = JSONValue(answer: result.body), let token = (answer["token"] ?? answer["access_token"])?.text
        else { throw Self.unexpected(result) }
        self.token = token
    }

    /// Its answer, which is one of success. Throws what it says otherwise.
    func call(_ method: HTTPSendMethod, _ path: String, query: [(String, String?)] = [], body: String? = nil)
        async throws(GatewayError) -> HTTPSendResult
    {
        let result = try await send(method, path, query: query, body: body)
        guard (200...299).contains(result.status) else {
            throw GatewayError(description: problemText(status: result.status, body: result.body))
        }
        return result
    }

    /// Its answer, whatever that is. Throws where there is none.
    /// - Parameter query: not encoded; pairs without a value are left out.
    func send(_ method: HTTPSendMethod, _ path: String, query: [(String, String?)] = [], body: String? = nil)
        async throws(GatewayError) -> HTTPSendResult
    {
        let pairs = query.compactMap { name, value in value.map { "\(name)=\(percentEncoded($0))" } }
        let url = baseURL + path + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
        let endpoint: Endpoint
        do {
            endpoint = try Endpoint(url)
        } catch {
            throw GatewayError(description: "\(url): \(error)")
        }
        var headers = HeaderLines()
        if !token.isEmpty, !headers.append("authorization", "Bearer \(token)") {
            throw GatewayError(description: "the token has a line break in it")
        }
        if body != nil { headers.append("content-type", "application/json") }
        let result = await client.send(method, to: endpoint, headers: headers, body: Array((body ?? "").utf8))
        guard result.failure == nil else {
            throw GatewayError(description: "\(endpoint.url): \(result.message)")
        }
        return result
    }

    static func unexpected(_ result: HTTPSendResult) -> GatewayError {
        let text = printable(String(decoding: result.body.prefix(200), as: UTF8.self))
        return GatewayError(description: "the answer is not what it should be: \(text)")
    }
}
