// grpc.reflection.v1 and v1alpha, for grpcurl and other tools without the protos.
import { toBinary, type DescFile, type DescService } from '@bufbuild/protobuf'
import { createFileRegistry, type FileRegistry } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { create } from '@bufbuild/protobuf'
import { Code, type ConnectRouter } from '@connectrpc/connect'
import { file_google_rpc_error_details as errorDetails } from '#gen/google/rpc/error_details_pb.ts'
import { ServerReflection } from '#gen/grpc/reflection/v1/reflection_pb.ts'
import { ServerReflection as ServerReflectionAlpha } from '#gen/grpc/reflection/v1alpha/reflection_pb.ts'

export function reflectionRoutes(services: DescService[]): (router: ConnectRouter) => void {
  // No service file imports the error details, but tools look them up by name.
  const files = withImports([...services.map((service) => service.file), errorDetails])
  const contract: Contract = { files, registry: registryOf(files), services }
  return (router) => {
    for (const service of [ServerReflection, ServerReflectionAlpha]) {
      router.service(service as typeof ServerReflection, {
        async *serverReflectionInfo(requests) {
          for await (const originalRequest of requests) {
            yield {
              validHost: originalRequest.host,
              originalRequest,
              messageResponse: respond(originalRequest.messageRequest, contract),
            }
          }
        },
      })
    }
  }
}

interface Contract {
  files: DescFile[]
  registry: FileRegistry
  services: DescService[]
}

type Query =
  | { case: 'fileByFilename' | 'fileContainingSymbol' | 'listServices' | 'allExtensionNumbersOfType'; value: string }
  | { case: 'fileContainingExtension'; value: { containingType: string; extensionNumber: number } }
  | { case: undefined; value?: undefined }

function respond(query: Query, { files, registry, services }: Contract) {
  switch (query.case) {
    case 'listServices': {
      const service = services.map(({ typeName: name }) => ({ name }))
      return { case: 'listServicesResponse' as const, value: { service } }
    }
    case 'fileByFilename':
      return describe(files.find((file) => file.proto.name === query.value))
    case 'fileContainingSymbol':
      return describe(findFile(registry, query.value))
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = query.value
      const type = registry.getMessage(containingType)
      return describe(type && registry.getExtensionFor(type, extensionNumber)?.file)
    }
    case 'allExtensionNumbersOfType': {
      const numbers = [...registry].flatMap((found) =>
        found.kind === 'extension' && found.extendee.typeName === query.value ? [found.number] : [],
      )
      const value = { baseTypeName: query.value, extensionNumber: numbers }
      return { case: 'allExtensionNumbersResponse' as const, value }
    }
    default:
      return errorResponse(Code.InvalidArgument, 'message_request is missing')
  }
}

/** Finds a type by its full name, and a method, field or enum value by the name of its owner. */
function findFile(registry: FileRegistry, symbol: string): DescFile | undefined {
  const owner = symbol.slice(0, Math.max(0, symbol.lastIndexOf('.')))
  return (registry.get(symbol) ?? registry.get(owner))?.file
}

function describe(file: DescFile | undefined) {
  if (!file) return errorResponse(Code.NotFound, 'file or symbol not found on this server')
  // Clients expect the requested file first.
  const files = withImports([file]).toReversed()
  const fileDescriptorProto = files.map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto))
  return { case: 'fileDescriptorResponse' as const, value: { fileDescriptorProto } }
}

function errorResponse(errorCode: Code, errorMessage: string) {
  return { case: 'errorResponse' as const, value: { errorCode, errorMessage } }
}

/** Returns the files and their imports, each file after those it imports. */
function withImports(files: DescFile[]): DescFile[] {
  const found = new Set<DescFile>()
  const visit = (file: DescFile): void => {
    if (found.has(file)) return
    file.dependencies.forEach(visit)
    found.add(file)
  }
  files.forEach(visit)
  return [...found]
}

function registryOf(files: DescFile[]): FileRegistry {
  const set = create(FileDescriptorSetSchema, { file: files.map(({ proto }) => proto) })
  return createFileRegistry(set)
}
