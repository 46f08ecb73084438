import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from "@grpc/grpc-js";
import type {
  InfoRequest,
  PluginInfo,
  RegistrationStatus,
  RegistrationStatusResponse,
} from "../../proto/gen/dra/registration_pb.ts";
import type { Log } from "../agent/ports.ts";

export interface RegistrationOptions {
  readonly driver: string;
  /** The service socket. */
  readonly endpoint: string;
  /** `<version>.<service>`, in the order of preference. */
  readonly versions: readonly string[];
  readonly log: Log;
  /** Called with the kubelet's error when it refuses the driver, and without when it takes it. */
  readonly onStatus: (error?: string) => void;
}

/** The Registration service: who the plugin is, and whether the kubelet took it. */
export function registrationService(options: RegistrationOptions): UntypedServiceImplementation {
  const { driver, endpoint, versions, log, onStatus } = options;
  return {
    getInfo(_: ServerUnaryCall<InfoRequest, PluginInfo>, callback: sendUnaryData<PluginInfo>) {
      const info = { type: "DRAPlugin", name: driver, endpoint, supportedVersions: [...versions] };
      callback(null, info as PluginInfo);
    },
    notifyRegistrationStatus(
      { request }: ServerUnaryCall<RegistrationStatus, RegistrationStatusResponse>,
      callback: sendUnaryData<RegistrationStatusResponse>,
    ) {
      if (request.pluginRegistered) log.info("the kubelet registered the driver", { driver });
      else log.error("the kubelet refused the driver", { driver, error: request.error });
      onStatus(request.pluginRegistered ? undefined : request.error);
      callback(null, {} as RegistrationStatusResponse);
    },
  };
}
