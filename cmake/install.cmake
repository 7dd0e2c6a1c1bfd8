# What "cmake --install" puts where.
install(TARGETS postern-gateway postern-backend RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(TARGETS posternctl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

file(GLOB manuals CONFIGURE_DEPENDS man/*.8)
install(FILES ${manuals} DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)

# The systemd files stand in lib, whatever the libraries' folder is called.
foreach(unit postern-gateway.service postern-backend.service)
    configure_file(conf/systemd/${unit}.in ${PROJECT_BINARY_DIR}/${unit} @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${unit} DESTINATION lib/systemd/system)
endforeach()
install(FILES conf/systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME postern.conf)
install(FILES conf/systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME postern.conf)

file(GLOB examples CONFIGURE_DEPENDS gateway.conf.example conf/*.example)
list(APPEND examples ${PROJECT_SOURCE_DIR}/conf/systemd/postern-gateway.socket)
install(FILES ${examples} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/postern/examples)
file(GLOB pages CONFIGURE_DEPENDS docs/*.md)
install(FILES README.md LICENSE ${pages} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/postern)
install(DIRECTORY docs/recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/postern)
