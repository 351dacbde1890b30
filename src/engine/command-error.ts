import type { DeploymentErrorCode } from '../entities/deployment-error-code.js'

export type CommandErrorCode =
  | 'BAD_USER_INPUT'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'QUEUE_FULL'
  | 'NO_WORKER'
  | 'FORGE_ERROR'

/** A field of the input that is wrong, by the API's name, and what is wrong with it. */
export interface FieldError {
  readonly field: string
  readonly message: string
}

/** A command that cannot be carried out as it was given. The message is for the caller. */
export class CommandError extends Error {
  override name = 'CommandError'
  /** Of BAD_USER_INPUT every field that is wrong; else the one that it is about, if there is one. */
  readonly fields: readonly FieldError[]

  constructor(
    /** Of a repository that cannot be read, what a deployment of it would fail with. */
    readonly code: CommandErrorCode | DeploymentErrorCode,
    message: string,
    /** The field that it is about, or all of them. */
    about: string | null | readonly FieldError[] = null,
  ) {
    super(message)
    if (about === null) this.fields = []
    else if (typeof about !== 'string') this.fields = about
    else this.fields = [{ field: about, message: withoutPath(about, message) }]
  }

  /** The first of {@link fields}. */
  get field(): string | null {
    return this.fields[0]?.field ?? null
  }
}

function withoutPath(field: string, message: string): string {
  return message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message
}

/** Input that does not fit its grammar; `field` is the API's name for it. */
export function badInput(field: string, message: string): CommandError {
  return badFields([{ field, message }])
}

/** The same of several fields at once. */
export function badFields(fields: readonly FieldError[]): CommandError {
  const message = fields.map((one) => `${one.field}: ${one.message}`).join('; ')
  return new CommandError('BAD_USER_INPUT', message, fields)
}

type Checks = Readonly<Record<string, () => unknown>>
type Checked<C extends Checks> = { [Key in keyof C]: ReturnType<C[Key]> }

/**
 * Does all checks and gives what they give, by key.
 *
 * @throws CommandError BAD_USER_INPUT with every field that any of them has refused
 */
export function checkAll<C extends Checks>(checks: C): Checked<C> {
  const values: Record<string, unknown> = {}
  const refused: FieldError[] = []
  for (const [key, check] of Object.entries(checks)) {
    try {
      values[key] = check()
    } catch (error) {
      if (!(error instanceof CommandError) || error.code !== 'BAD_USER_INPUT') throw error
      refused.push(...error.fields)
    }
  }
  if (refused.length > 0) throw badFields(refused)
  return values as Checked<C>
}
