import { DeployError, InfrastructureError } from '../errors.js'
import { decodeTrace, type Vertex } from './buildkit-trace.js'
import type { BuildOutput } from './docker.js'
import { exitCodeOfStep, isOverloadError, isClippedNotice } from './engine-messages.js'
import { LineDecoder } from './line-decoder.js'
import { readNdjson } from './ndjson.js'

/** Lines of a failing step that its error carries. */
const LAST_LINES = 100
/** UTF-16 units of a line of them. A longer one is left out as a whole: a part of it could have a part of a secret. */
const MAX_LINE_LENGTH = 64 * 1024
const TOO_LONG = '[a line of more than 64 KiB]'
/** The classic builder takes one step after another. */
const CLASSIC = ''

interface BuildMessage {
  readonly stream?: string
  readonly status?: string
  readonly id?: string
  readonly error?: string
  readonly errorDetail?: { readonly message?: string; readonly code?: number }
  readonly aux?: { readonly ID?: string } | string
}

/**
 * Follows a build's messages to their end, classic or BuildKit, and gives the id of the image.
 *
 * An error inside the stream, an end without an image id and a message that cannot be read are all failures:
 * nothing but the id counts as success.
 *
 * @throws DeployError BUILD_FAILED when the engine says what failed; InfrastructureError when it does not, as an engine
 *   that is being stopped
 */
export async function followBuild(source: AsyncIterable<Buffer>, output: BuildOutput): Promise<string> {
  const steps = new Steps(output)
  let imageId: string | null = null
  for await (const message of readNdjson(source) as AsyncIterable<BuildMessage>) {
    if (message.error !== undefined || message.errorDetail) throw buildError(message, steps)
    if (message.id === 'moby.buildkit.trace' && typeof message.aux === 'string') {
      await steps.take(Buffer.from(message.aux, 'base64'))
    } else if (typeof message.aux === 'object' && message.aux.ID) {
      imageId = message.aux.ID
    } else if (message.stream !== undefined) {
      await steps.classic(message.stream)
    } else if (message.status && message.id !== 'moby.image.id') {
      // A pull reports every block; what a person wants to know is that it began and ended.
      if (/^(Pulling from|Digest:|Status:)/.test(message.status)) output.line(message.status)
    }
  }
  if (imageId) return imageId
  throw new InfrastructureError(
    'DOCKER_FAILED',
    'the Docker engine ended the build with neither an image nor an error',
  )
}

function buildError(message: BuildMessage, steps: Steps): DeployError | InfrastructureError {
  const text = message.errorDetail?.message ?? message.error ?? 'unknown error'
  if (isOverloadError(text)) return new InfrastructureError('DOCKER_FAILED', `docker build failed: ${text}`)
  const exitCode = exitCodeOfStep(text) ?? message.errorDetail?.code ?? null
  const hint = exitCode === null ? '' : '; see the last lines'
  return new DeployError('BUILD_FAILED', `docker build failed: ${text}${hint}`, {
    exitCode,
    lastLines: steps.lastLines(),
  })
}

/**
 * Numbers BuildKit's steps as its own command line does, and keeps the last lines of output. Steps go on at the same
 * time: the pieces of their lines are put together for each alone.
 */
class Steps {
  #numbers = new Map<string, number>()
  #seen = new Map<string, Vertex>()
  #done = new Set<string>()
  #last: string[] = []
  #unfinished = new Map<string, LineDecoder>()
  #clipped = false

  constructor(private readonly output: BuildOutput) {}

  async take(bytes: Buffer): Promise<void> {
    const trace = decodeTrace(bytes)
    for (const vertex of trace.vertexes) this.#vertex(vertex)
    for (const log of trace.logs) {
      await this.#write(log.vertex, log.stream === 2 ? 'STDERR' : 'STDOUT', log.bytes)
      if (!this.#clipped && isClippedNotice(log.bytes)) this.#reportClipped()
    }
  }

  async classic(text: string): Promise<void> {
    await this.#write(CLASSIC, 'STDOUT', Buffer.from(text))
  }

  lastLines(): string[] {
    const unfinished = [...this.#unfinished.values()].map(({ rest }) => rest ?? TOO_LONG)
    return [...this.#last, ...unfinished].filter((line) => line !== '').slice(-LAST_LINES)
  }

  #vertex(vertex: Vertex): void {
    const before = this.#seen.get(vertex.digest)
    this.#seen.set(vertex.digest, vertex)
    if (vertex.name.startsWith('[internal]')) return
    const known = this.#numbers.get(vertex.digest)
    const number = known ?? this.#numbers.size + 1
    if (known === undefined && (vertex.started || vertex.cached)) {
      this.#numbers.set(vertex.digest, number)
      this.output.line(`#${number} ${vertex.name}`)
    }
    if (vertex.completed) this.#ended(vertex.digest)
    if (vertex.cached && !before?.cached) this.output.line(`#${number} CACHED`)
    else if (vertex.error && !before?.error) this.output.line(`#${number} ERROR: ${vertex.error}`)
    else if (vertex.completed && !vertex.cached && !this.#done.has(vertex.digest)) {
      this.#done.add(vertex.digest) // a step may be taken up and completed once more
      this.output.line(`#${number} DONE`)
    }
  }

  async #write(step: string, source: 'STDOUT' | 'STDERR', bytes: Buffer): Promise<void> {
    const key = `${source} ${step}`
    const line = this.#unfinished.get(key) ?? new LineDecoder(MAX_LINE_LENGTH)
    this.#unfinished.set(key, line)
    this.#keep(line.add(bytes))
    await this.output.bytes(step, source, bytes)
  }

  #ended(step: string): void {
    for (const key of [`STDOUT ${step}`, `STDERR ${step}`]) {
      const line = this.#unfinished.get(key)
      if (line) this.#keep([line.rest])
      this.#unfinished.delete(key)
    }
    this.output.ended(step)
  }

  #keep(lines: readonly (string | null)[]): void {
    this.#last.push(...lines.map((line) => line ?? TOO_LONG))
    if (this.#last.length > LAST_LINES) this.#last.splice(0, this.#last.length - LAST_LINES)
  }

  #reportClipped(): void {
    this.#clipped = true
    this.output.clipped(
      'The Docker engine clipped this step’s output. To keep all of it, set BUILDKIT_STEP_LOG_MAX_SIZE=-1 and BUILDKIT_STEP_LOG_MAX_SPEED=-1 in the environment of dockerd, or BUILDER=classic here.',
    )
  }
}
