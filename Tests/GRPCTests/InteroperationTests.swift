import GRPC
import TestSupport
import Testing

/// Against gRPC's own Python implementation, in both directions.
@Suite(.timeLimit(.minutes(3)), .enabled("needs packages from PyPI") { await Python.isAvailable() })
struct InteroperationTests {
    @Test func aPythonClientCallsOurServer() async throws {
        let script = """
            import grpc, sys
            channel = grpc.insecure_channel("127.0.0.1:" + sys.argv[1], [("grpc.enable_http_proxy", 0)])
            def call(method, body, **options):
                return channel.unary_unary(method).with_call(body, timeout=10, **options)
            reply, ended = call("/test.Echo/Bytes", b"abc" * 1000, metadata=[("x-text", "t"), ("x-any-bin", b"\\x00\\xff")])
            assert reply == b"abc" * 1000
            assert dict(ended.trailing_metadata())["x-any-bin"] == b"\\x00\\xff"
            assert dict(ended.trailing_metadata())["x-text"] == "t"
            assert call("/grpc.health.v1.Health/Check", b"")[0] == b"\\x08\\x01"
            try:
                call("/test.Echo/Fail", b"\\x0a\\x03\\xc3\\xa4!")
                assert False
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
                assert error.details() == "ä!"
                assert dict(error.trailing_metadata())["problem-bin"] == b"\\x00\\xff\\x0a"
            try:
                channel.unary_unary("/test.Echo/Hang")(b"", timeout=0.2)
                assert False
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            try:
                list(channel.stream_stream("/test.Echo/Bytes")(iter([]), timeout=10))
                assert False
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            try:
                channel.unary_unary("/test.Echo/Bytes")(b"x", timeout=10, compression=grpc.Compression.Gzip)
                assert False
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            print("passed")
            """
        try await withEcho { _, observations, port in
            let output = try await Python.run(script, ["\(port)"])
            #expect(output == "passed\n")
            #expect(await eventually { observations.count("cancelled") == 1 })
        }
    }

    @Test func ourClientCallsAPythonServer() async throws {
        let script = """
            import concurrent.futures, grpc, sys
            def echo(request, context):
                context.set_trailing_metadata(context.invocation_metadata())
                return request
            def fail(request, context):
                context.set_trailing_metadata((("problem-bin", b"\\x01\\x02"),))
                context.abort(grpc.StatusCode.ABORTED, "nö")
            handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo), "Fail": grpc.unary_unary_rpc_method_handler(fail)}
            server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Python", handlers),))
            print(server.add_insecure_port("127.0.0.1:0"))
            server.start()
            sys.stdin.read()
            server.stop(0).wait()
            """
        let child = try await Python.start(script)
        let port = try #require(try await child.line())
        let client = GRPCClient(.init(target: "127.0.0.1:\(port)"))
        let big = [UInt8](repeating: 3, count: 1 << 20)
        let reply = try await client.call(
            "/test.Python/Echo", bytes: big, metadata: ["x-text": "t"], timeout: .seconds(20))
        #expect(reply.bytes == big)
        #expect(reply.metadata["x-text"] == "t")
        let failure = await status { _ = try await client.call("/test.Python/Fail", bytes: []) }
        #expect(failure?.code == .aborted)
        #expect(failure?.message == "nö")
        #expect(failure?.metadata[bytes: "problem-bin"] == [1, 2])
        await client.shutdown()
        child.closeInput()
        #expect(try await child.exit() == 0)
    }
}
