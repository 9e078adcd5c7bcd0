import 'dart:typed_data';

import 'package:http/http.dart' as http;

import 'assay_client.dart';

/// An [http.BaseClient] whose requests to your gateway carry a fresh token, and that follows its answers: after a 401 that
/// wants a token the request is sent once more with a new one; after a 429 or 503 that asks for a short wait, once more
/// after it; everything else is the app's.
///
///     final client = AssayHttpClient(assay, hosts: {'api.example.com'}, bindTo: ['authorization']);
class AssayHttpClient extends http.BaseClient {
  /// [hosts]: where tokens go, over https only; no other host sees one. [bindTo]: the headers that the route binds tokens
  /// to, in its order.
  AssayHttpClient(this._assay,
      {required this.hosts, this.bindTo = const [], this.header = 'Assay-Token', http.Client? inner})
      : _inner = inner ?? http.Client();

  final AssayClient _assay;
  final http.Client _inner;
  final Set<String> hosts;
  final List<String> bindTo;
  final String header;

  static const _longestWait = Duration(seconds: 4);
  static const _refusals = {401, 403, 503};

  @override
  Future<http.StreamedResponse> send(http.BaseRequest request) async {
    if (request.url.scheme != 'https' || !hosts.contains(request.url.host)) {
      return _inner.send(request);
    }
    // Read whole, because it may be sent twice; for uploads too large for that, put `AssayClient.token` into the header.
    final body = await request.finalize().toBytes();
    final (answer, pause) = await _attempt(request, body);
    if (pause == null) {
      return answer;
    }
    await answer.stream.drain<void>();
    await Future<void>.delayed(pause);
    return (await _attempt(request, body)).$1;
  }

  /// One exchange, and the pause before another where the answer asks for one.
  Future<(http.StreamedResponse, Duration?)> _attempt(http.BaseRequest request, Uint8List body) async {
    final token = await _assay.token(_binding(request));
    try {
      // Redirects are the app's: followed, they would carry the token to wherever they point.
      final stamped = http.Request(request.method, request.url)
        ..headers.addAll(request.headers)
        ..headers[header] = token.text
        ..followRedirects = false
        ..persistentConnection = request.persistentConnection
        ..bodyBytes = body;
      final answer = await _inner.send(stamped);
      final retryAfter = answer.headers['retry-after'];
      if (!_refusals.contains(answer.statusCode)) {
        final (reaction, wait) = _assay.react(token, answer.statusCode, Uint8List(0), retryAfter);
        return (answer, _pause(reaction, wait, retryAfter));
      }
      final problem = await answer.stream.toBytes();
      final (reaction, wait) = _assay.react(token, answer.statusCode, problem, retryAfter);
      return (_withBody(answer, problem), _pause(reaction, wait, retryAfter));
    } finally {
      token.close();
    }
  }

  Duration? _pause(AssayReaction reaction, Duration wait, String? retryAfter) => switch (reaction) {
        AssayReaction.retry => Duration.zero,
        AssayReaction.wait when retryAfter != null && wait <= _longestWait => wait,
        _ => null,
      };

  /// The bound headers' values; none where one is absent: the gateway refuses such a request anyway.
  List<String> _binding(http.BaseRequest request) {
    final names = {for (final name in request.headers.keys) name.toLowerCase(): name};
    final values = [for (final name in bindTo) request.headers[names[name.toLowerCase()]]].nonNulls.toList();
    return values.length == bindTo.length ? values : const [];
  }

  static http.StreamedResponse _withBody(http.StreamedResponse answer, Uint8List body) => http.StreamedResponse(
        Stream.value(body),
        answer.statusCode,
        contentLength: body.length,
        request: answer.request,
        headers: answer.headers,
        isRedirect: answer.isRedirect,
        persistentConnection: answer.persistentConnection,
        reasonPhrase: answer.reasonPhrase,
      );

  @override
  void close() => _inner.close();
}
