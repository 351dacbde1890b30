import { decodeTrace, type Vertex } from './buildkit-trace.js'
import type { BuildOutput } from './docker.js'
import { classicStep, isCachedNotice, isClippedNotice } from './engine-messages.js'
import { oneLine } from '../quoted-text.js'
import { StepLines } from './step-lines.js'

/** All that the classic builder writes: it takes one step after another. */
const CLASSIC = ''

/** A step of the classic builder, and when its first line came. */
interface ClassicStep {
  readonly name: string
  readonly startedMs: number
}

/**
 * Tells of a build's steps: their names, how long each took, and what they write. Numbers those of BuildKit as its own
 * command line does. Steps go on at the same time: a line whose step does not follow from the line of a step before it begins with the
 * step's number.
 */
export class BuildSteps {
  readonly #numbers = new Map<string, number>()
  readonly #seen = new Map<string, Vertex>()
  readonly #done = new Set<string>()
  readonly #running = new Set<string>()
  readonly #failed: Vertex[] = []
  readonly #lines = new StepLines()
  /** The step that the last line was about. */
  #named: string | null = null
  #classic: ClassicStep | null = null
  #clipped = false

  constructor(private readonly output: BuildOutput) {}

  /** A message of BuildKit's. */
  async take(bytes: Buffer): Promise<void> {
    const trace = decodeTrace(bytes)
    for (const vertex of trace.vertexes) this.#vertex(vertex)
    for (const { vertex, stream, bytes: written } of trace.logs) {
      const source = stream === 2 ? 'STDERR' : 'STDOUT'
      this.#lines.add(vertex, source, written)
      await this.output.bytes({ step: vertex, source, bytes: written, prefix: this.#prefix(vertex) })
      if (!this.#clipped && isClippedNotice(written)) this.#reportClipped()
    }
  }

  /** A message of the classic builder's. */
  async classic(text: string): Promise<void> {
    const name = classicStep(text, this.#classic?.name ?? null)
    if (name !== null) {
      this.classicDone()
      this.#lines.forget(CLASSIC)
      this.#classic = { name, startedMs: performance.now() }
    } else if (isCachedNotice(text)) this.#classic = this.#classic && { ...this.#classic, startedMs: NaN }
    const bytes = Buffer.from(text)
    this.#lines.add(CLASSIC, 'STDOUT', bytes)
    await this.output.bytes({ step: CLASSIC, source: 'STDOUT', bytes, prefix: '' })
  }

  /** The classic builder says nothing of a step's end: the next one has begun, or there is an image. */
  classicDone(): void {
    if (this.#classic === null) return
    this.output.ended(CLASSIC)
    const { name, startedMs } = this.#classic
    if (!Number.isNaN(startedMs))
      this.output.line(`${name} done in ${seconds(performance.now() - startedMs)}`)
  }

  /** The last lines of the step that a build has failed at, as `message` says; of what was written last where no step says so. */
  lastLines(message: string): string[] {
    const failed =
      this.#failed.find(({ error }) => message.includes(error)) ??
      this.#failed.find(({ error }) => !error.endsWith('context canceled')) ??
      this.#failed[0]
    return this.#lines.of(failed?.digest ?? null)
  }

  /** What was under way, for the end of a sentence; empty: nobody knows. */
  during(): string {
    const running = [...this.#running].map(
      (step) => `#${this.#numbers.get(step)} ${oneLine(this.#seen.get(step)?.name ?? '', 200)}`,
    )
    const names = this.#classic === null ? running : [this.#classic.name]
    return names.length === 0 ? '' : ` during ${names.join(' and ')}`
  }

  #vertex(vertex: Vertex): void {
    const { digest, name, cached, startedMs, completedMs, error } = vertex
    const before = this.#seen.get(digest)
    this.#seen.set(digest, vertex)
    if (name.startsWith('[internal]')) return
    if (!this.#numbers.has(digest) && (startedMs !== null || cached)) {
      this.#numbers.set(digest, this.#numbers.size + 1)
      this.#say(digest, name)
    }
    if (startedMs !== null && completedMs === null) this.#running.add(digest)
    if (completedMs !== null) {
      this.#running.delete(digest)
      this.output.ended(digest)
    }
    if (cached && !before?.cached) this.#say(digest, 'CACHED')
    else if (error && !before?.error) {
      this.#failed.push(vertex)
      this.#say(digest, `ERROR: ${error}`)
    } else if (completedMs !== null && !cached && !error && !this.#done.has(digest)) {
      this.#done.add(digest) // a step may be taken up and completed once more
      this.#lines.forget(digest)
      this.#say(digest, startedMs === null ? 'done' : `done in ${seconds(completedMs - startedMs)}`)
    }
  }

  #say(step: string, text: string): void {
    this.#named = step
    this.output.line(`#${this.#numbers.get(step)} ${text}`)
  }

  /** Nothing where the line of a step before it says whose the output is. */
  #prefix(step: string): string {
    const number = this.#numbers.get(step)
    const isClear = this.#named === step && this.#running.size <= 1
    return number === undefined || isClear ? '' : `#${number} `
  }

  #reportClipped(): void {
    this.#clipped = true
    this.output.clipped(
      'The Docker engine clipped this step’s output. To keep all of it, set BUILDKIT_STEP_LOG_MAX_SIZE=-1 and BUILDKIT_STEP_LOG_MAX_SPEED=-1 in the environment of dockerd, or BUILDER=classic here.',
    )
  }
}

function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)} s`
}
