import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import type { MiddlewareFn } from 'type-graphql'
import { CommandError } from '../engine/errors.js'
import type { Logger } from '../logger.js'

/** A command's error as the API promises it: `extensions.code`, and `field` for input that is wrong. */
export function toGraphQLError(error: CommandError): GraphQLError {
  const field = error.field === null ? {} : { field: error.field }
  return new GraphQLError(error.message, { extensions: { code: error.code, ...field } })
}

/** Around every resolver: commands' errors are translated; what nobody expected is logged and not shown. */
export function translateErrors(logger: Logger): MiddlewareFn {
  return async ({ info }, next) => {
    try {
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

/** Names the field for input that GraphQL itself refused, as for input that a command refused. */
export function nameField(formatted: GraphQLFormattedError): GraphQLFormattedError {
  if (formatted.extensions?.code !== 'BAD_USER_INPUT' || formatted.extensions.field !== undefined)
    return formatted
  const missing = /Field "([^"]+)" of required type/.exec(formatted.message)?.[1]
  const unknown = /Field "([^"]+)" is not defined/.exec(formatted.message)?.[1]
  const nested = / at "[^".]*\.([^"]+)"/.exec(formatted.message)?.[1]
  const variable = /^Variable "\$([^"]+)"/.exec(formatted.message)?.[1]
  const field = missing ?? unknown ?? nested ?? variable
  return field === undefined ? formatted : { ...formatted, extensions: { ...formatted.extensions, field } }
}
