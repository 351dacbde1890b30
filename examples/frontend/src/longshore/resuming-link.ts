import { ApolloLink, CombinedGraphQLErrors } from '@apollo/client'
import { print } from '@apollo/client/utilities'
import { type GraphQLFormattedError, Kind } from 'graphql'
import type { Client, FormattedExecutionResult } from 'graphql-ws'
import { Observable, type Subscriber } from 'rxjs'
import { closeCode, FORBIDDEN } from './socket.js'

/** The field of an event to resume after, of the subscriptions that can be resumed. */
const CURSORS: Readonly<Record<string, string>> = {
  changes: 'cursor',
  deploymentLogs: 'seq',
  runtimeLogs: 'cursor',
}
const WAIT_MS = 1_000

/**
 * Subscriptions that go on where they were after a lost connection. graphql-ws subscribes again by itself, but with the
 * first variables, which would repeat the whole log: this link lets the variable `after` follow the events.
 */
export class ResumingLink extends ApolloLink {
  readonly #socket: Client

  constructor(socket: Client) {
    super()
    this.#socket = socket
  }

  override request(operation: ApolloLink.Operation): Observable<ApolloLink.Result> {
    const cursor = cursorField(operation)
    return new Observable((observer) => {
      const subscription = new ResumedSubscription(this.#socket, { operation, cursor, observer })
      return () => subscription.end()
    })
  }
}

interface Following {
  readonly operation: ApolloLink.Operation
  /** Null: the subscription begins with how things stand. */
  readonly cursor: string | null
  readonly observer: Subscriber<ApolloLink.Result>
}

class ResumedSubscription {
  readonly #socket: Client
  readonly #following: Following
  readonly #variables: Record<string, unknown>
  #timer: ReturnType<typeof setTimeout> | undefined
  #unsubscribe: () => void = () => undefined

  constructor(socket: Client, following: Following) {
    this.#socket = socket
    this.#following = following
    this.#variables = { ...following.operation.variables }
    this.#start()
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#unsubscribe()
  }

  #start(): void {
    const { operation, observer } = this.#following
    const { operationName, query } = operation
    // graphql-ws sends the payload after each lost connection as it is then.
    const payload = { operationName, query: print(query), variables: this.#variables }
    this.#unsubscribe = this.#socket.subscribe(payload, {
      next: (result) => this.#next(result),
      error: (reason) => this.#fail(reason),
      complete: () => observer.complete(),
    })
  }

  #next(result: FormattedExecutionResult<Record<string, unknown>, unknown>): void {
    const { cursor, observer, operation } = this.#following
    const [event] = Object.values(result.data ?? {}) as (Record<string, unknown> | null)[]
    if (cursor !== null && event) {
      if (event[cursor] === undefined) {
        this.end()
        return observer.error(new Error(`${operation.operationName} has to select ${cursor}`))
      }
      this.#variables.after = event[cursor]
    }
    observer.next(result as ApolloLink.Result)
  }

  /** What passes is tried again: a viewer that was too slow (4429), a database that was away. */
  #fail(reason: unknown): void {
    const { observer } = this.#following
    const code = closeCode(reason)
    if (Array.isArray(reason)) {
      const errors = reason as GraphQLFormattedError[]
      const passes = errors.every(({ extensions }) => extensions?.code === 'INTERNAL_SERVER_ERROR')
      if (!passes) return observer.error(new CombinedGraphQLErrors({ errors }))
    } else if (code === FORBIDDEN) return observer.error(new ForbiddenError())
    this.#timer = setTimeout(() => this.#start(), WAIT_MS)
  }
}

/** The server does not take the token of a subscription. */
export class ForbiddenError extends Error {
  override readonly name = 'ForbiddenError'

  constructor() {
    super('the token is wrong')
  }
}

/** @throws Error when the operation could be resumed and is not written so that it is */
function cursorField({ query, operationName }: ApolloLink.Operation): string | null {
  for (const definition of query.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue
    const [field] = definition.selectionSet.selections
    const cursor = field?.kind === Kind.FIELD ? CURSORS[field.name.value] : undefined
    if (cursor === undefined) return null
    const names = definition.variableDefinitions?.map(({ variable }) => variable.name.value)
    if (names?.includes('after')) return cursor
    throw new Error(`${operationName} has to take a variable $after to be resumed`)
  }
  return null
}
