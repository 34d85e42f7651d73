// Runs the interceptors and the handler of a call. connect-es creates a generator function for each unary call; here one
// serves all calls. V8 creates a hidden class for each generator function that runs, and everything in its scope stays in
// memory until the next major collection, copied by each minor one.
import type { Message } from '@bufbuild/protobuf'
import { Code, ConnectError, type HandlerContext, type Interceptor, type MethodImplSpec } from '@connectrpc/connect'
import { invokeUnaryImplementation, transformInvokeImplementation } from '@connectrpc/connect/protocol'

export function invoke(
  spec: MethodImplSpec,
  context: HandlerContext,
  interceptors: Interceptor[],
  messages: AsyncIterable<Message>,
): AsyncIterable<Message> {
  if (spec.kind === 'unary') return invokeUnary(spec, context, interceptors, messages)
  return transformInvokeImplementation(spec, context, interceptors)(messages)
}

async function* invokeUnary(
  spec: MethodImplSpec & { kind: 'unary' },
  context: HandlerContext,
  interceptors: Interceptor[],
  messages: AsyncIterable<Message>,
): AsyncGenerator<Message> {
  yield await invokeUnaryImplementation(spec, context, await readSole(messages), interceptors)
}

async function readSole(messages: AsyncIterable<Message>): Promise<Message> {
  let sole: Message | undefined
  for await (const message of messages) {
    if (sole) throw wrongCount('received extra input message')
    sole = message
  }
  if (!sole) throw wrongCount('missing input message')
  return sole
}

function wrongCount(what: string): ConnectError {
  return new ConnectError(`protocol error: ${what} for unary method`, Code.Unimplemented)
}
