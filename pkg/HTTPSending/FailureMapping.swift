internal import CCurl
internal import Glibc

extension Transfer {
    /// What libcurl's code means for a request that had come this far; nil for a complete response.
    func failure(_ code: CURLcode) -> HTTPSendFailure? {
        // A connection that ends within the head is an end like another to libcurl.
        if code == CURLE_OK { return progress.endedHead ? nil : .closed }
        if progress.exceededLimit { return .tooLarge }
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: return Self.hasDescriptors ? .resolve : .noDescriptors
        case CURLE_COULDNT_CONNECT:
            if progress.noDescriptors { return .noDescriptors }
            return progress.denied && !progress.openedSocket ? .deniedAddress : .connect
        case CURLE_ABORTED_BY_CALLBACK: return progress.denied ? .deniedAddress : .aborted
        case CURLE_OPERATION_TIMEDOUT: return .timeout(phase)
        case CURLE_FILESIZE_EXCEEDED: return .tooLarge
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_SSL_CERTPROBLEM, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS:
            return .tls
        case CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_SEND_ERROR: return .closed
        case CURLE_RECV_ERROR:
            // A chunk that is none gives this code too, then without an error of the system's.
            return ccurl_info_long(easy, CURLINFO_OS_ERRNO) == 0 ? .protocolViolation : .closed
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_HTTP2, CURLE_HTTP2_STREAM,
            CURLE_BAD_CONTENT_ENCODING:
            // The first stands for HTTP/0.9, that is for anything: URLs with another scheme make no endpoint.
            return .protocolViolation
        case CURLE_OUT_OF_MEMORY where progress.connected: return .tooLarge  // a header line above libcurl's own limit
        default: return .other(code: Int(code.rawValue))
        }
    }

    /// A lookup needs descriptors too, and without them fails like one of a name that does not exist.
    private static var hasDescriptors: Bool {
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { return errno != EMFILE && errno != ENFILE }
        close(probe)
        return true
    }

    private var phase: HTTPSendPhase {
        if progress.bodyBytes > 0 || ccurl_info_long(easy, CURLINFO_RESPONSE_CODE) >= 200 { return .body }
        if progress.connected { return .response }
        guard progress.openedSocket else { return .resolve }
        // libcurl names the peer once TCP's handshake is through.
        return ccurl_info_string(easy, CURLINFO_PRIMARY_IP).pointee != 0 ? .tls : .connect
    }
}
