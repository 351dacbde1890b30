import { type InputHTMLAttributes, useId } from 'react'
import type { FormErrors } from '../longshore/form-errors.js'

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  readonly label: string
  /** Its path in the input, by which the API names it. */
  readonly name: string
  readonly errors: FormErrors
  readonly hint?: string
}

/** An input with its label, its hint and what is wrong with it. */
export function Field({ label, name, errors, hint, ...input }: FieldProps) {
  const id = useId()
  const error = errors.fields[name]
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        name={name}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={error !== undefined}
        aria-describedby={`${id}-about`}
        {...input}
      />
      <p id={`${id}-about`} className={error === undefined ? 'hint' : 'hint wrong'}>
        {error ?? hint}
      </p>
    </div>
  )
}
