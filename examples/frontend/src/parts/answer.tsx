import { messageOf } from '../longshore/form-errors.js'

/** In place of what a query has not brought: that it is under way, or why it failed. */
export function NoAnswer({ error }: { error: unknown }) {
  return error ? <Problem>{messageOf(error)}</Problem> : <p className="muted">Loading…</p>
}

export function Problem({ children }: { children: string }) {
  return (
    <p className="problem" role="alert">
      {children}
    </p>
  )
}
