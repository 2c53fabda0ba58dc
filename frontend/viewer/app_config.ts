// The viewer's configuration. Runs before it, as a classic script: sets window.config.

interface DataSourceConfiguration {
  qidoRoot: string;
  wadoRoot: string;
  wadoUriRoot: string;
  [key: string]: unknown;
}

interface React {
  createElement(type: string, props: object, ...children: unknown[]): unknown;
}

/** Images come only from under one's reading or consensus: the roots follow the address. */
function rootsOf(configuration: DataSourceConfiguration, query: URLSearchParams) {
  for (const [name, folder] of [
    ["reading", "readings"],
    ["consensus", "consensus"],
  ] as const) {
    const id = query.get(name);
    if (!id || !/^[0-9a-f-]{36}$/i.test(id)) continue;
    const root = `/dicom-web/${folder}/${id}`;
    return { ...configuration, qidoRoot: root, wadoRoot: root, wadoUriRoot: `${root}/wado` };
  }
  return configuration;
}

const SETTLING = location.pathname.startsWith("/viewer/settle");

window.config = {
  name: "concord",
  routerBasename: "/viewer/",
  extensions: ["/viewer/ext/concord-extension.js"],
  // Going from one to the other loads the page anew.
  modes: [`/viewer/ext/${SETTLING ? "concord-settle-mode" : "concord-mode"}.js`],
  customizationService: {},
  showStudyList: false,
  showPatientInfo: "disabled",
  // The first stroke in another plane paints, instead of only making it the active one.
  activateViewportBeforeInteraction: false,
  maxNumberOfWebWorkers: 2,
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: true,
  // Turning wheels have the whole page drawn again and again while the first image is on its way.
  showLoadingIndicator: false,
  strictZSpacingForVolumeViewport: true,
  investigationalUseDialog: { option: "never" },
  maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  whiteLabeling: {
    createLogoComponentFn: (react: React) =>
      react.createElement("concord-brand", { key: "concord-brand" }),
  },
  defaultDataSourceName: "dicomweb",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "dicomweb",
      configuration: {
        friendlyName: "Concord",
        name: "concord",
        qidoRoot: "/dicom-web",
        wadoRoot: "/dicom-web",
        wadoUriRoot: "/dicom-web/wado",
        qidoSupportsIncludeField: false,
        supportsReject: false,
        supportsStow: false,
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: false,
        staticWado: false,
        singlepart: "bulkdata,video",
        bulkDataURI: { enabled: true, relativeResolution: "studies" },
        omitQuotationForMultipartRequest: true,
        onConfiguration: (
          configuration: DataSourceConfiguration,
          { query }: { query?: URLSearchParams },
        ) => rootsOf(configuration, query?.size ? query : new URLSearchParams(location.search)),
      },
    },
  ],
  httpErrorHandler: (error: { status?: number }) => console.warn("image request", error.status),
};

export {};
