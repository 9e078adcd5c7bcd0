import 'dart:async';
import 'dart:convert';
import 'dart:ffi';
import 'dart:typed_data';

import 'package:ffi/ffi.dart';

import 'native.dart' as native;

/// What this file was written for: ASSAY_ABI_VERSION.
const _abi = 1;

/// There is no token; [status] is the word for it. None tells whether the app is genuine.
class AssayException implements Exception {
  AssayException(this.status, this.message);

  final String status;
  final String message;

  @override
  String toString() => 'AssayException: $status: $message';
}

/// What to do with a gateway's answer.
enum AssayReaction { deliver, retry, fetchAgain, wait }

/// A token in hand. Call [close] when its answer has been reacted to: that wipes the native copy.
class AssayToken {
  AssayToken._(this._outcome);

  Pointer<native.Outcome> _outcome;

  /// For the `Assay-Token` header. Never log it.
  String get text => native.outcomeToken(_outcome).toDartString();

  /// `SUCCESS`, or why this is an older token: no new one could be had.
  String get status => native.statusName(native.outcomeStatus(_outcome)).toDartString();

  void close() {
    native.outcomeFree(_outcome);
    _outcome = nullptr;
  }
}

/// Makes Play Integrity evidence: the nonce is the transcript as base64url without padding. Your app's own code.
typedef AssayEvidence = Future<Uint8List> Function(Uint8List transcript);

/// One client for the isolate that made it. Fetching does not block it.
class AssayClient {
  /// [buildLabel]: on Android the ABI that runs. [storage]: a folder of the SDK's alone. [libraries]: those named at registration; on Android at least one.
  /// [trustOnly]: PEM of the only authorities to trust; needed on Android. [evidence]: by the numbers of
  /// ASSAY_EVIDENCE_ in assay.h (3: Play Integrity).
  AssayClient(String service, String app, String version,
      {required String storage,
      String? buildLabel,
      List<String> libraries = const [],
      String? trustOnly,
      Map<int, AssayEvidence> evidence = const {}}) {
    if (native.abiVersion() != _abi) {
      throw AssayException('INTERNAL_ERROR', 'libassay_sdk has another ABI');
    }
    using((arena) {
      Pointer<Utf8> text(String value) => value.toNativeUtf8(allocator: arena);
      final made = arena<Pointer<native.Builder>>();
      _check(native.builderNew(text(service), text(app), text(version), made));
      final builder = made.value;
      arena.onReleaseAll(() => native.builderFree(builder));
      _check(native.builderStorage(builder, text(storage)));
      if (buildLabel != null) {
        _check(native.builderBuildLabel(builder, text(buildLabel)));
      }
      for (final library in libraries) {
        _check(native.builderMeasureLibrary(builder, text(library)));
      }
      if (trustOnly != null) {
        final pem = _bytes(utf8.encode(trustOnly), arena);
        _check(native.builderTrustOnly(builder, pem.data, pem.length));
      }
      evidence.forEach((kind, make) {
        final callable = NativeCallable<native.Evidence>.listener(
            (Pointer<Void> _, Pointer<native.Request> request) => unawaited(_answer(request, make)));
        _callables.add(callable);
        _check(native.builderEvidence(builder, kind, nullptr, callable.nativeFunction, nullptr, nullptr));
      });
      final client = arena<Pointer<native.Client>>();
      final sentence = arena<Uint8>(512).cast<Utf8>();
      final code = native.clientNew(builder, client, sentence, 512);
      if (code != 0) {
        throw AssayException(native.codeName(code).toDartString(), sentence.toDartString());
      }
      _client = client.value;
    });
  }

  late Pointer<native.Client> _client;
  final List<NativeCallable<native.Evidence>> _callables = [];

  /// A token bound to these header values, in the route's order; bound to nothing without them.
  Future<AssayToken> token([List<String> boundTo = const []]) {
    final told = Completer<AssayToken>();
    late final NativeCallable<native.Fetched> callable;
    callable = NativeCallable<native.Fetched>.listener((Pointer<Void> _, Pointer<native.Outcome> outcome) {
      callable.close();
      if (native.outcomeToken(outcome) != nullptr) {
        told.complete(AssayToken._(outcome));
        return;
      }
      final status = native.statusName(native.outcomeStatus(outcome)).toDartString();
      told.completeError(AssayException(status, native.outcomeError(outcome).toDartString()));
      native.outcomeFree(outcome);
    });
    final code = using((arena) {
      final list = arena<native.Bytes>(boundTo.length + 1);
      for (final (at, value) in boundTo.indexed) {
        final bytes = _bytes(utf8.encode(value), arena);
        (list + at).ref
          ..data = bytes.data
          ..length = bytes.length;
      }
      return native.fetchTokenAsync(_client, list, boundTo.length, callable.nativeFunction, nullptr);
    });
    if (code != 0) {
      callable.close();
      told.completeError(AssayException('INTERNAL_ERROR', native.codeName(code).toDartString()));
    }
    return told.future;
  }

  /// What to do with an answer to a request that carried [token], and for [AssayReaction.wait] how long to wait;
  /// [body] for 401, 403 and 503 only.
  (AssayReaction, Duration) react(AssayToken token, int status, Uint8List body, String? retryAfter) {
    return using((arena) {
      final problem = _bytes(body, arena);
      final after = retryAfter?.toNativeUtf8(allocator: arena) ?? nullptr.cast<Utf8>();
      final wait = arena<Uint64>();
      final reaction =
          native.react(_client, token._outcome, status, problem.data, problem.length, after, wait);
      final known = AssayReaction.values.elementAtOrNull(reaction) ?? AssayReaction.deliver;
      return (known, Duration(milliseconds: wait.value));
    });
  }

  /// After a user logged out: every token is forgotten. False: too often.
  bool invalidateAll() => native.invalidate(_client, nullptr) == 0;

  /// From connectivity_plus.
  void networkChanged() => native.networkChanged(_client);

  /// At the app's end, when no request is under way any more.
  void close() {
    native.clientFree(_client);
    _client = nullptr;
    for (final callable in _callables) {
      callable.close();
    }
  }

  static Future<void> _answer(Pointer<native.Request> request, AssayEvidence make) async {
    final transcript = Uint8List.fromList(native.requestTranscript(request).asTypedList(32));
    try {
      final made = await make(transcript);
      using((arena) {
        final bytes = _bytes(made, arena);
        native.evidenceComplete(request, bytes.data, bytes.length);
      });
    } catch (problem) {
      using((arena) =>
          native.evidenceFail(request, '${problem.runtimeType}'.toNativeUtf8(allocator: arena)));
    } finally {
      native.requestFree(request);
    }
  }

  static ({Pointer<Uint8> data, int length}) _bytes(List<int> from, Allocator allocator) {
    final data = allocator<Uint8>(from.length + 1);
    data.asTypedList(from.length).setAll(0, from);
    return (data: data, length: from.length);
  }

  static void _check(int code) {
    if (code != 0) {
      throw AssayException('INTERNAL_ERROR', native.codeName(code).toDartString());
    }
  }
}
