internal import CCurl
internal import Glibc

/// One easy handle, reused for many requests, with what its callbacks need. Confined to its sender's thread.
///
/// What never changes is set once; per request only URL, body, headers and times are: `curl_easy_reset` and a fresh set-up would
/// cost as much as the request itself.
final class Transfer {
    let easy: UnsafeMutableRawPointer
    let slot: Int
    /// The request being served; 0 while idle.
    var sequence: UInt64 = 0
    var completion: HTTPSender.Completion?
    /// How far the request is, as the callbacks see it.
    private(set) var progress = Progress()

    struct Progress {
        var openedSocket = false
        var denied = false
        var noDescriptors = false
        var connected = false
        var exceededLimit = false
        /// The empty line behind the final status and its headers has come.
        var endedHead = false
        var headerBytes = 0
        var bodyBytes = 0
        var headers: [HTTPSendHeader] = []
        var body: [UInt8] = []
    }

    private let configuration: HTTPSenderConfiguration
    private unowned let driver: MultiDriver
    private let lines = LineArena()
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var endpoint: Endpoint?
    private var method: HTTPSendMethod?

    /// nil without memory.
    init?(slot: Int, driver: MultiDriver, configuration: HTTPSenderConfiguration) {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        self.slot = slot
        self.driver = driver
        self.configuration = configuration
        errorText.pointee = 0
        setUp()
    }

    deinit {
        curl_easy_cleanup(easy)
        errorText.deallocate()
    }

    private func setUp() {
        let context = Unmanaged.passUnretained(self).toOpaque()
        ccurl_set_pointer(easy, CURLOPT_PRIVATE, context)
        ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
        ccurl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        ccurl_set_pointer(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        ccurl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        ccurl_set_pointer(easy, CURLOPT_PROXY, "")
        // Or the environment is asked before each request.
        ccurl_set_pointer(easy, CURLOPT_NOPROXY, "*")
        ccurl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        ccurl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 1)
        ccurl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 2)
        if let path = configuration.caBundlePath {
            ccurl_set_pointer(easy, CURLOPT_CAINFO, path)
            ccurl_set_pointer(easy, CURLOPT_CAPATH, nil)
        }
        // One buffer per handle: thousands may be waiting for an answer of a few bytes.
        ccurl_set_long(easy, CURLOPT_BUFFERSIZE, 4 << 10)
        ccurl_set_offset(easy, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(configuration.maximumBodyBytes))
        ccurl_set_quick_exit(easy)
        ccurl_set_receivers(easy, Self.bodyCallback, Self.headerCallback, context)
        ccurl_set_opener(easy, Self.openCallback, context)
        ccurl_set_prerequest(easy, Self.prerequestCallback, context)
        driver.adopt(easy)
    }

    /// Makes the handle ready for `request`.
    func prepare(_ request: HTTPSendRequest) {
        if endpoint !== request.endpoint {
            endpoint = request.endpoint
            ccurl_set_pointer(easy, CURLOPT_CURLU, UnsafeRawPointer(request.endpoint.handle))
        }
        setMethod(request.method)
        if request.method != .get {
            ccurl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.count))
            // NULL would mean "read it by callback".
            ccurl_set_pointer(easy, CURLOPT_POSTFIELDS, request.body.baseAddress ?? UnsafeRawPointer(errorText))
        }
        ccurl_set_pointer(easy, CURLOPT_HTTPHEADER, lines.list(of: request.headers))
        ccurl_set_long(easy, CURLOPT_TIMEOUT_MS, max(1, request.timeoutMilliseconds))
        ccurl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, max(1, request.connectTimeoutMilliseconds))
        errorText.pointee = 0
        progress = Progress()
    }

    private func setMethod(_ method: HTTPSendMethod) {
        guard method != self.method else { return }
        self.method = method
        ccurl_set_long(easy, method == .get ? CURLOPT_HTTPGET : CURLOPT_POST, 1)
        switch method {
        case .get, .post: ccurl_set_pointer(easy, CURLOPT_CUSTOMREQUEST, nil)
        case .put, .patch, .delete: ccurl_set_pointer(easy, CURLOPT_CUSTOMREQUEST, method.rawValue)
        }
    }

    /// What became of the request, and forgets what the result carries.
    func result(_ failure: HTTPSendFailure?, code: CURLcode) -> HTTPSendResult {
        var result = HTTPSendResult()
        let status = ccurl_info_long(easy, CURLINFO_RESPONSE_CODE)
        result.status = status < 200 ? 0 : status
        result.failure = failure
        if failure != nil { result.message = message(code) }
        result.headers = progress.headers
        result.body = progress.body
        result.durationMicroseconds = Int64(ccurl_info_offset(easy, CURLINFO_TOTAL_TIME_T))
        result.reusedConnection = progress.connected && ccurl_info_long(easy, CURLINFO_NUM_CONNECTS) == 0
        result.primaryAddress = String(cString: ccurl_info_string(easy, CURLINFO_PRIMARY_IP))
        progress = Progress()
        return result
    }

    private func message(_ code: CURLcode) -> String {
        if progress.denied { return "the address policy forbids this address" }
        if progress.exceededLimit { return "the response exceeds the limit on its size" }
        if code == CURLE_OK { return "the connection ended within the response's head" }
        let text = errorText.pointee == 0 ? String(cString: curl_easy_strerror(code)) : String(cString: errorText)
        let systemError = ccurl_info_long(easy, CURLINFO_OS_ERRNO)
        return systemError == 0 ? text : "\(text): \(String(cString: strerror(Int32(truncatingIfNeeded: systemError))))"
    }

    // MARK: libcurl's callbacks, on the sender's thread, inside a call of the driver's

    private static func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer {
        Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
    }

    private static let bodyCallback: ccurl_data_callback = { bytes, size, count, context in
        let buffer = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return transfer(context).receiveBody(buffer) ? size * count : 0
    }

    private static let headerCallback: ccurl_data_callback = { bytes, size, count, context in
        let buffer = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return transfer(context).receiveHeader(buffer) ? size * count : 0
    }

    private static let openCallback: ccurl_open_callback = { context, _, address in
        transfer(context).openSocket(address!)
    }

    private static let prerequestCallback: ccurl_request_callback = { context, peer, _, port, _ in
        transfer(context).mayRequest(from: peer!, port: port) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
    }

    private func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        progress.bodyBytes += bytes.count
        let room = configuration.keptBodyBytes - progress.body.count
        if room > 0 { progress.body.append(contentsOf: bytes.prefix(room)) }
        guard progress.bodyBytes <= configuration.maximumBodyBytes else {
            progress.exceededLimit = true
            return false
        }
        return true
    }

    private func receiveHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        progress.headerBytes += line.count
        guard progress.headerBytes <= configuration.maximumHeaderBytes else {
            progress.exceededLimit = true
            return false
        }
        if line.starts(with: "HTTP/".utf8) {
            // What an informational response carried is not the final one's.
            progress.headers.removeAll()
            progress.endedHead = false
        } else if line.first == UInt8(ascii: "\r") || line.first == UInt8(ascii: "\n") {
            progress.endedHead = ccurl_info_long(easy, CURLINFO_RESPONSE_CODE) >= 200
        } else if progress.headers.count < configuration.maximumKeptHeaders,
            let header = KeptHeaderLine(line, configuration.keptHeaders)
        {
            progress.headers.append(header.header)
        }
        return true
    }

    /// The address that is about to be dialled: what a name resolves to now, not what it did when it was checked.
    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> Int32 {
        let raw = UnsafeMutableRawPointer(address) + MemoryLayout<curl_sockaddr>.offset(of: \.addr)!
        let socketAddress = raw.assumingMemoryBound(to: sockaddr.self)
        let isAllowed =
            NetworkAddress(socketAddress, length: Int(address.pointee.addrlen))
            .map { configuration.addressPolicy.allows($0, port: endpoint?.port ?? 0) } ?? false
        guard isAllowed else {
            progress.denied = true
            return CURL_SOCKET_BAD
        }
        let descriptor = driver.open(
            family: address.pointee.family, type: address.pointee.socktype, protocol: address.pointee.protocol)
        if descriptor < 0 {
            progress.noDescriptors = errno == EMFILE || errno == ENFILE
        } else {
            progress.openedSocket = true
        }
        return descriptor
    }

    /// Asked before each request, on kept-alive connections too.
    private func mayRequest(from peer: UnsafePointer<CChar>, port: Int32) -> Bool {
        progress.connected = true
        let isAllowed =
            NetworkAddress(peer)
            .map { configuration.addressPolicy.allows($0, port: UInt16(truncatingIfNeeded: port)) } ?? false
        if !isAllowed { progress.denied = true }
        return isAllowed
    }
}
