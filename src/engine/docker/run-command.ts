import { withTimeout, type EngineCalls, ignoreMissing } from './calls.js'
import { demultiplex } from './demultiplex.js'
import type { CommandResult, ContainerCommand } from './command.js'

/** So much of a command's output is kept, its end. */
const OUTPUT_BYTES = 4096
/** The first byte of a frame names its stream. An engine that cannot start a command says so without a frame. */
const LAST_STREAM = 3

/**
 * Runs a command inside a container, as its user. Null: there is no such container, or it does not run. The engine has no
 * way to end a command: one that has not ended after its time goes on until it ends by itself or the container does.
 */
export async function runCommand(
  calls: EngineCalls,
  { container, command, timeoutMs }: ContainerCommand,
  signal: AbortSignal,
): Promise<CommandResult | null> {
  const options = { Cmd: [...command], AttachStdout: true, AttachStderr: true }
  const create = calls.make(
    (docker) => ignoreStopped(ignoreMissing(docker.getContainer(container).exec(options))),
    signal,
  )
  const exec = await create
  if (!exec) return null
  const output = await withTimeout(
    async (givenUp) => {
      const stream = await exec.start({ hijack: false, stdin: false })
      givenUp.addEventListener('abort', () => stream.destroy(), { once: true })
      return readOutput(stream as AsyncIterable<Buffer>)
    },
    timeoutMs,
    signal,
  ).catch((error: unknown) => {
    if (signal.aborted) throw signal.reason
    return { error }
  })
  const { Running, ExitCode } = await calls.make(() => exec.inspect(), signal)
  if (Running) return { exitCode: null, output: '' }
  if (typeof output !== 'string') throw output.error
  return { exitCode: ExitCode, output }
}

/** 409: it does not run, or is paused. */
async function ignoreStopped<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 409) return null
    throw error
  }
}

async function readOutput(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces = stream[Symbol.asyncIterator]()
  const first = await pieces.next()
  if (first.done) return ''
  let kept: Buffer = Buffer.alloc(0)
  const keep = (bytes: Buffer) => (kept = Buffer.concat([kept, bytes]).subarray(-OUTPUT_BYTES))
  const all = startingWith(first.value, pieces)
  if ((first.value[0] ?? 0) > LAST_STREAM) for await (const bytes of all) keep(bytes)
  else for await (const { bytes } of demultiplex(all)) keep(bytes)
  return kept.toString('utf8')
}

async function* startingWith(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  for (let piece = first; ;) {
    yield piece
    const next = await rest.next()
    if (next.done) return
    piece = next.value
  }
}
