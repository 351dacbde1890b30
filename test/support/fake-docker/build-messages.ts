import { createHash } from 'node:crypto'
import type { Dialect } from './generations.js'

type Field = readonly [field: number, value: number | string | Buffer]

/** How a builder tells of its work: one line of JSON each. */
export interface BuildMessages {
  /** A step begins. */
  begin(index: number, total: number, text: string): string[]
  write(stream: 1 | 2, text: string): string[]
  /** The step is done; with an exit code it has failed. */
  end(command: readonly string[], exitCode: number): string[]
  result(id: string): string[]
  tagged(tag: string): string[]
  /** Ends the build. */
  error(message: string, exitCode?: number): string
}

export function line(message: object): string {
  return `${JSON.stringify(message)}\n`
}

/** That a step would run in. */
const CONTAINER = '0123456789ab'

export class ClassicMessages implements BuildMessages {
  begin(index: number, total: number, text: string): string[] {
    const step = [line({ stream: `Step ${index}/${total} : ${text}` }), line({ stream: '\n' })]
    return text.startsWith('FROM') ? step : [...step, line({ stream: ` ---> Running in ${CONTAINER}\n` })]
  }

  write(stream: 1 | 2, text: string): string[] {
    return [line({ stream: stream === 1 ? text : `\u001b[91m${text}\u001b[0m` })]
  }

  end(command: readonly string[], exitCode: number): string[] {
    const removed = line({ stream: `Removing intermediate container ${CONTAINER}\n` })
    if (exitCode === 0) return [removed, line({ stream: ' ---> 0123456789ab\n' })]
    const said = `The command '${command.join(' ')}' returned a non-zero code: ${exitCode}`
    return [removed, this.error(said, exitCode)]
  }

  result(id: string): string[] {
    const short = id.slice('sha256:'.length, 'sha256:'.length + 12)
    return [line({ aux: { ID: id } }), line({ stream: `Successfully built ${short}\n` })]
  }

  tagged(tag: string): string[] {
    return [line({ stream: `Successfully tagged ${tag}\n` })]
  }

  error(message: string, code?: number): string {
    return line({ errorDetail: { ...(code === undefined ? {} : { code }), message }, error: message })
  }
}

/** BuildKit's: protobuf inside base64 inside JSON. */
export class BuildkitMessages implements BuildMessages {
  #vertex: readonly Field[] = []
  #digest = ''

  constructor(private readonly dialect: Dialect) {}

  begin(index: number, total: number, text: string): string[] {
    this.#digest = `sha256:${createHash('sha256').update(`${index}${text}`).digest('hex')}`
    this.#vertex = [
      [1, this.#digest],
      [3, `[${index}/${total}] ${text}`],
      [5, now()],
    ]
    return [trace([1, encode(this.#vertex)])]
  }

  write(stream: 1 | 2, text: string): string[] {
    const log: Field[] = [
      [1, this.#digest],
      [2, now()],
      [3, stream],
      [4, text],
    ]
    return [trace([3, encode(log)])]
  }

  end(command: readonly string[], exitCode: number): string[] {
    const ended: Field[] = [...this.#vertex, [6, now()]]
    if (exitCode === 0) return [trace([1, encode(ended)])]
    const said = this.dialect.words.stepFailed(command, exitCode)
    return [trace([1, encode([...ended, [7, said]])]), this.error(said)]
  }

  result(id: string): string[] {
    return [line({ id: 'moby.image.id', aux: { ID: id } })]
  }

  tagged(tag: string): string[] {
    const said = this.dialect.words.tagged(tag)
    return said === null ? [] : [line({ stream: said })]
  }

  error(message: string): string {
    return line({ errorDetail: { message }, error: message })
  }
}

function trace(field: Field): string {
  return line({ id: 'moby.buildkit.trace', aux: encode([field]).toString('base64') })
}

function now(): Buffer {
  return encode([[1, Math.floor(Date.now() / 1000)]])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return Buffer.from([...bytes, value])
}

function encode(fields: readonly Field[]): Buffer {
  const parts = fields.map(([field, value]) => {
    if (typeof value === 'number') return Buffer.concat([varint(field * 8), varint(value)])
    const bytes = Buffer.from(value)
    return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes])
  })
  return Buffer.concat(parts)
}
