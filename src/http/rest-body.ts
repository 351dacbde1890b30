import { badFields, badInput, CommandError } from '../engine/command-error.js'

/** The fields of a JSON body, by name and type; their grammars are the commands'. */
export class BodyFields {
  readonly #fields: Readonly<Record<string, unknown>>

  /** @throws CommandError when it is no object, or has a field that is not among `known` */
  constructor(body: unknown, known: readonly string[]) {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
      throw new CommandError('BAD_USER_INPUT', 'the body must be a JSON object')
    }
    const unknown = Object.keys(body).filter((name) => !known.includes(name))
    const message = `is not known; known are ${known.join(', ')}`
    if (unknown.length > 0) throw badFields(unknown.map((field) => ({ field, message })))
    this.#fields = body as Record<string, unknown>
  }

  text(name: string): string | null {
    const value = this.#fields[name] ?? null
    if (value !== null && typeof value !== 'string') throw badInput(name, 'must be a string')
    return value
  }

  required(name: string): string {
    const value = this.text(name)
    if (value === null) throw badInput(name, 'is missing')
    return value
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#fields[name] ?? fallback
    if (typeof value !== 'boolean') throw badInput(name, 'must be true or false')
    return value
  }

  number(name: string): number | null {
    const value = this.#fields[name] ?? null
    if (value !== null && typeof value !== 'number') throw badInput(name, 'must be a number')
    return value
  }

  pairs(name: string): { key: string; value: string }[] {
    return pairsOf(this.#fields[name] ?? {}, name)
  }
}

/** An object of strings. @throws CommandError that names each that is none */
export function pairsOf(value: unknown, name: string): { key: string; value: string }[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badInput(name, 'must be an object')
  }
  const entries = Object.entries(value)
  const wrong = entries.filter(([, text]) => typeof text !== 'string')
  const message = 'must be a string'
  if (wrong.length > 0) throw badFields(wrong.map(([key]) => ({ field: `${name}.${key}`, message })))
  return entries.map(([key, text]) => ({ key, value: text as string }))
}
