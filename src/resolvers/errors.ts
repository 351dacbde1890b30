import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import type { MiddlewareFn } from 'type-graphql'
import { badInput, CommandError } from '../engine/errors.js'
import type { Logger } from '../logger.js'

/** A command's error as the API promises it: `extensions.code`, and `field` for input that is wrong. */
export function toGraphQLError(error: CommandError): GraphQLError {
  const field = error.field === null ? {} : { field: error.field }
  return new GraphQLError(error.message, { extensions: { code: error.code, ...field } })
}

/** Around every resolver: commands' errors are translated; what nobody expected is logged and not shown. */
export function translateErrors(logger: Logger): MiddlewareFn {
  return async ({ info, args }, next) => {
    try {
      refuseNul(args)
      return (await next()) as unknown
    } catch (error) {
      throw translated(error, logger, `${info.parentType.name}.${info.fieldName}`)
    }
  }
}

export function translated(error: unknown, logger: Logger, place: string): GraphQLError {
  if (error instanceof GraphQLError) return error
  if (error instanceof CommandError) return toGraphQLError(error)
  logger.error('a request failed for a reason of the server', { place, error })
  return new GraphQLError('something went wrong in the server: its log says what', {
    extensions: { code: 'INTERNAL_SERVER_ERROR' },
  })
}

/** An error of a subscription's, as the answer to a POST would have it. */
export function formatted(error: GraphQLError, logger: Logger): GraphQLFormattedError {
  const cause = error.originalError
  const known = !cause || cause instanceof GraphQLError ? error : translated(cause, logger, 'subscription')
  return nameField(known.toJSON())
}

/** PostgreSQL's text cannot hold NUL: an id, a name or a key that has one names nothing. What is nested has its grammar. */
export function refuseNul(values: Readonly<Record<string, unknown>>): void {
  for (const [field, value] of Object.entries(values)) {
    if (hasNul(value)) throw badInput(field, 'contains a NUL character')
    if (Array.isArray(value)) {
      const place = value.findIndex(hasNul)
      if (place >= 0) throw badInput(`${field}[${place}]`, 'contains a NUL character')
    }
    if (field === 'input' && typeof value === 'object' && value !== null) {
      refuseNul(value as Readonly<Record<string, unknown>>)
    }
  }
}

function hasNul(value: unknown): boolean {
  return typeof value === 'string' && value.includes('\0')
}

/** What GraphQL itself calls input that it refuses; without a code it is of the library below. */
const REFUSED_INPUT = new Set<unknown>([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'BAD_REQUEST',
  undefined,
])

/** Gives input that GraphQL itself refused the code and the field of input that a command refused. */
export function nameField(error: GraphQLFormattedError): GraphQLFormattedError {
  const { message, extensions } = error
  const code = REFUSED_INPUT.has(extensions?.code) ? 'BAD_USER_INPUT' : extensions?.code
  if (code !== 'BAD_USER_INPUT') return error
  const field = extensions?.field ?? fieldIn(message)
  return { ...error, extensions: { ...extensions, code, ...(field === undefined ? {} : { field }) } }
}

/** A field as GraphQL's messages name it, in a query's text with its type. */
function fieldIn(message: string): string | undefined {
  const missing = /Field "(?:[^".]+\.)?([^".]+)" of required type/.exec(message)?.[1]
  const unknown = /Field "([^"]+)" is not defined/.exec(message)?.[1]
  const argument = /\bargument "([^"]+)"/i.exec(message)?.[1]
  const nested = / at "[^".]*\.([^"]+)"/.exec(message)?.[1]
  const variable = /^Variable "\$([^"]+)"/.exec(message)?.[1]
  return missing ?? unknown ?? argument ?? nested ?? variable
}
