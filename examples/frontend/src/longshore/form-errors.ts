import { CombinedGraphQLErrors } from '@apollo/client'
import { isOutage } from './http-link.js'

/** What is wrong with what was sent. */
export interface FormErrors {
  /** By the field's path in the input, such as `name` and `variables[0].key`. */
  readonly fields: Readonly<Record<string, string>>
  /** What belongs to no field that the form has. Null: nothing. */
  readonly form: string | null
}

export const NO_ERRORS: FormErrors = { fields: {}, form: null }

/** One bad field, as `extensions.fields` lists all of them. */
interface FieldError {
  readonly field: string
  readonly message: string
}

/**
 * The error of a mutation, at the fields of a form.
 *
 * @param names paths of the fields that the form shows
 */
export function toFormErrors(error: unknown, names: readonly string[]): FormErrors {
  if (!CombinedGraphQLErrors.is(error)) return { fields: {}, form: messageOf(error) }
  const fields: Record<string, string> = {}
  const others: string[] = []
  for (const { message, extensions } of error.errors) {
    const listed = (extensions?.fields as FieldError[] | undefined) ?? []
    if (listed.length === 0) others.push(message)
    for (const bad of listed) {
      if (!names.includes(bad.field)) others.push(`${bad.field}: ${bad.message}`)
      else fields[bad.field] = [fields[bad.field], bad.message].filter(Boolean).join(' ')
    }
  }
  return { fields, form: others.length > 0 ? others.join('\n') : null }
}

/** A sentence for a person. */
export function messageOf(error: unknown): string {
  if (isOutage(error)) return 'Longshore does not answer. Try again in a moment.'
  return error instanceof Error ? error.message : String(error)
}
